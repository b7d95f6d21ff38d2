/** What a bell says (channel `bell` in keys.ts): the queues that got entries in one call of a script, as a JSON array: tenants may have any name. */
export const queuesRung = (message: string): string[] => JSON.parse(message);
