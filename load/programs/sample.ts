/** The operation that every trial uses: one contact with 150 bytes of data. */

const filler = 'Grace Hopper, Rear Admiral; compilers, COBOL, a moth in a relay and nanoseconds of wire to hand out.';

/** 150 bytes of JSON, different for each number below ten million. */
export function sampleData(number: number): string {
  const text = String(number % 10_000_000).padStart(7, '0');
  return `{"email":"p${text}@example.com","name":"${filler}"}`;
}
