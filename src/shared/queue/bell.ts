/** What a bell says (channel `bell` in keys.ts): the queues that got entries in one call of a script. */
export const queuesRung = (message: string): string[] => message.split(' ');
