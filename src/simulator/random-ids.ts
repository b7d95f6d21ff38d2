/** Identifiers made from a passed source of randomness, so that a test can have the same ones again. */

export function randomHex(digits: number, random: () => number): string {
  return Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
}

/** In the form of a UUID of version 4. */
export function randomUuid(random: () => number): string {
  const hex = randomHex(30, random);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(12, 15)}-8${hex.slice(15, 18)}-${hex.slice(18)}`;
}
