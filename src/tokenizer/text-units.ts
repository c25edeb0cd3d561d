/**
 * The UTF-16 units of a text, unit i at byte 2 i, little-endian; at least 16 bytes follow the last. In memory of its own a text
 * is read several times faster than through `charCodeAt`.
 */
export type TextUnits = DataView;

const SLACK = 16;

/** The units of a text that comes in stretches, one buffer for all. What is kept comes again with the next stretch. */
export class UnitReader {
  #bytes: Buffer = Buffer.alloc(SLACK);
  #units: TextUnits = new DataView(this.#bytes.buffer);
  #text = '';

  /** The units of what was kept and of `stretch`, valid until the next call. Lone surrogates are U+FFFD. */
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

/** Lone surrogates become U+FFFD; one at the very end may still find its other half. */
function wellFormed(text: string, final: boolean): string {
  const open = !final && (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800;
  return open ? text.slice(0, -1).toWellFormed() + text.slice(-1) : text.toWellFormed();
}

export function textOf(units: TextUnits, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(units.getUint16(2 * i, true));
  return text;
}

/** Unicode code points: all units but the second halves of pairs. */
export function countPoints(units: TextUnits, start: number, end: number): number {
  let count = end - start;
  for (let i = start; i < end; i++) if ((units.getUint16(2 * i, true) & 0xfc00) === 0xdc00) count--;
  return count;
}
