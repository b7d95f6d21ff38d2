/** What a worker holds in memory, against its bound. */
export class Ledger {
  entries = 0;
  bytes = 0;

  add(dataBytes: number): void {
    this.entries++;
    this.bytes += dataBytes + entryOverheadBytes;
  }

  remove(dataBytes: number): void {
    this.entries--;
    this.bytes -= dataBytes + entryOverheadBytes;
  }
}

/** What one entry costs beside its data, roughly, bytes: objects and strings of Held and Lane. */
const entryOverheadBytes = 600;
