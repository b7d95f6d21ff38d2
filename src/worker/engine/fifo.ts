/** First in, first out, without moving or copying what waits at every step; as it runs empty it begins again in the same place. */
export class Fifo<T extends object> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #end = 0;

  get size(): number {
    return this.#end - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** By place, 0 for the first; undefined beyond the last. */
  at(place: number): T | undefined {
    return this.#items[this.#head + place];
  }

  push(item: T): void {
    this.#items[this.#end++] = item;
  }

  unshift(item: T): void {
    if (this.#head > 0) {
      this.#items[--this.#head] = item;
      return;
    }
    this.#items.length = this.#end++;
    this.#items.unshift(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (!item) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#end) {
      this.#head = 0;
      this.#end = 0;
    } else if (this.#head > 1_024 && this.#head * 2 > this.#end) {
      this.#items = this.#items.slice(this.#head, this.#end);
      this.#end -= this.#head;
      this.#head = 0;
    }
    return item;
  }

  /** Returns how many are left. */
  keep(isKept: (item: T) => boolean): number {
    this.#items = this.#items.slice(this.#head, this.#end).filter((item) => item && isKept(item));
    this.#head = 0;
    this.#end = this.#items.length;
    return this.#end;
  }
}
