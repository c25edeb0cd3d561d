export const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** Writes little-endian numbers at offsets of a file. */
export class ByteWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }
  uint8(at: number, value: number): void {
    this.#view.setUint8(at, value);
  }
  uint16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }
  uint32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }
  uint64(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value), true);
  }
}
