/** Trials of what is compared, taken in turns, so that whatever else the machine does meets all of them alike. */

export interface Pace {
  /** How often each variant is tried. */
  readonly rounds: number;
  /** 1, or less to shorten trials. */
  readonly scale: number;
  /** Told what runs. */
  say(text: string): void;
}

/** A B C A B C ...; the results of each in order. */
export async function interleave<T>(pace: Pace, variants: Readonly<Record<string, () => Promise<T>>>): Promise<Record<string, T[]>> {
  const results = new Map<string, T[]>(Object.keys(variants).map((name) => [name, []]));
  for (let round = 1; round <= pace.rounds; round++) {
    for (const [name, run] of Object.entries(variants)) {
      pace.say(`${name}, ${round} of ${pace.rounds}`);
      results.get(name)?.push(await run());
    }
  }
  return Object.fromEntries(results);
}
