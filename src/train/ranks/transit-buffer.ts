import { handled } from '../../collective/handled.ts';

/**
 * A ring buffer for numbers in transit between ranks. A part is reused as soon as its transfer has completed, so that copies of
 * any size need no more memory.
 */
export class TransitBuffer {
  readonly #memory: Float32Array;
  /** In the order in which they were placed. */
  readonly #held: { readonly start: number; readonly end: number; readonly arrival: Promise<unknown> }[] = [];
  #next = 0;

  /** @param length elements */
  constructor(length: number) {
    this.#memory = new Float32Array(length);
  }

  /**
   * Places a transfer in the buffer, once enough of it is free.
   *
   * @param length elements, at most those of the buffer
   * @param transfer starts it in the given part of the buffer, which is free again when `arrival` resolves
   * @throws RangeError if the buffer is too small; the error of an earlier transfer
   */
  async place(
    length: number,
    transfer: (numbers: Float32Array) => Promise<{ readonly arrival: Promise<unknown> }>,
  ): Promise<void> {
    if (length > this.#memory.length) throw new RangeError(`${length} elements, ${this.#memory.length} fit`);
    const start = this.#next + length > this.#memory.length ? 0 : this.#next;
    const end = start + length;
    while (this.#held.some((each) => each.start < end && each.end > start)) await this.#release();
    this.#next = end;
    const { arrival } = await transfer(this.#memory.subarray(start, end));
    this.#held.push({ start, end, arrival: handled(arrival) });
  }

  /** Waits until everything has arrived. @throws the error of a transfer */
  async empty(): Promise<void> {
    while (this.#held.length > 0) await this.#release();
  }

  async #release(): Promise<void> {
    await this.#held.shift()!.arrival;
  }
}
