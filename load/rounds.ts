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
export async function interleave<K extends string, T>(pace: Pace, variants: Readonly<Record<K, () => Promise<T>>>): Promise<Record<K, T[]>> {
  const names = Object.keys(variants) as K[];
  const results = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<K, T[]>;
  for (let round = 1; round <= pace.rounds; round++) {
    for (const name of names) {
      pace.say(`${name}, ${round} of ${pace.rounds}`);
      results[name].push(await variants[name]());
    }
  }
  return results;
}
