import { handled } from '../../collective/handled.ts';

/**
 * Numbers on their way between ranks. The buffer is used from its start to its end and then again from the start, as soon as
 * what is there has arrived: however much is copied, no more memory is needed.
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
   * Places a transfer in the buffer, once earlier ones have left enough of it.
   *
   * @param length elements, at most those of the buffer
   * @param transfer starts it in the given part of the buffer, which is free again when `arrival` resolves
   * @throws RangeError if the buffer is too small; what an earlier transfer failed with
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

  /** Waits until everything has arrived. @throws what a transfer failed with */
  async empty(): Promise<void> {
    while (this.#held.length > 0) await this.#release();
  }

  async #release(): Promise<void> {
    await this.#held.shift()!.arrival;
  }
}
