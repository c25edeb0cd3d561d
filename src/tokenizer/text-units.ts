/**
 * UTF-16 units of a text: unit i is at byte 2i, little-endian, with at least 16 bytes of padding after the last. Reading
 * from a buffer is several times faster than `charCodeAt`.
 */
export type TextUnits = DataView;

const SLACK = 16;

/** Reuses one buffer for the units of a text that arrives in chunks. Text that is kept precedes the next chunk. */
export class UnitReader {
  #bytes: Buffer = Buffer.alloc(SLACK);
  #units: TextUnits = new DataView(this.#bytes.buffer);
  #text = '';

  /** Units of the kept text and `stretch`, valid until the next call. Lone surrogates become U+FFFD. */
  read(stretch: string, final: boolean): { units: TextUnits; length: number } {
    this.#text = wellFormed(this.#text + stretch, final);
    const length = this.#text.length;
    if (2 * length + SLACK > this.#bytes.length) {
      this.#bytes = Buffer.from(new ArrayBuffer(4 * length + SLACK));
      this.#units = new DataView(this.#bytes.buffer);
    }
    this.#bytes.write(this.#text, 'utf16le');
    return { units: this.#units, length };
  }

  /** Keeps the text from unit `start` on. */
  keep(start: number): void {
    this.#text = this.#text.slice(start);
  }
}

/** Replaces lone surrogates by U+FFFD, except one at the end, whose other half may still arrive. */
function wellFormed(text: string, final: boolean): string {
  const open = !final && (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800;
  return open ? text.slice(0, -1).toWellFormed() + text.slice(-1) : text.toWellFormed();
}

export function textOf(units: TextUnits, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(units.getUint16(2 * i, true));
  return text;
}

/** Number of code points: units that are not low surrogates. */
export function countPoints(units: TextUnits, start: number, end: number): number {
  let count = end - start;
  for (let i = start; i < end; i++) if ((units.getUint16(2 * i, true) & 0xfc00) === 0xdc00) count--;
  return count;
}

/** Number of units of the code point at unit `start` of a well-formed text. */
export const unitsOfPoint = (units: TextUnits, start: number): 1 | 2 =>
  (units.getUint16(2 * start, true) & 0xfc00) === 0xd800 ? 2 : 1;
