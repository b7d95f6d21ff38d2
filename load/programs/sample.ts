/** The operation that every trial uses: one contact with 150 bytes of data. */

const filler = 'Grace Hopper, Rear Admiral; compilers, COBOL, a moth in a relay and a nanosecond of wire for everybody here.';

/** The same as an object. */
export function sampleFields(number: number): Readonly<Record<string, string>> {
  return { email: `p${String(number % 10_000_000).padStart(7, '0')}@example.com`, name: filler };
}

/** 150 bytes of JSON, different for each number below ten million. */
export function sampleData(number: number): string {
  return JSON.stringify(sampleFields(number));
}

export const bullQueueName = 'sync';

/** The same operation as a BullMQ job's data. */
export interface SampleJob {
  readonly number: number;
  readonly operation: string;
  readonly provider: string;
  readonly record_id: string;
  readonly timestamp: number;
  readonly data: Readonly<Record<string, string>>;
}

export function sampleJob(number: number): SampleJob {
  const timestamp = Date.now();
  return { number, operation: 'upsert', provider: 'p', record_id: `r${number}`, timestamp, data: sampleFields(number) };
}
