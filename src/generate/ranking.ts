/**
 * Ids by decreasing key (ties: smaller id first), sorted lazily with a binary heap (Williams 1964). A filter needs the first few
 * of perhaps 50,000, and sorting all of them would take longer than a small model's decode step.
 */
export class Ranking {
  readonly #ids: Uint32Array;
  #keys: Float64Array;
  #size = 0;

  /** @param capacity maximum number of ids */
  constructor(capacity: number) {
    this.#ids = new Uint32Array(capacity);
    this.#keys = new Float64Array(0);
  }

  /** Restarts with the first `count` ids; `keys` [V] must not change until the last id has been taken. */
  start(ids: Uint32Array, count: number, keys: Float64Array): void {
    for (let i = 0; i < count; i++) this.#ids[i] = ids[i];
    this.#keys = keys;
    this.#size = count;
    for (let i = (count >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** Number of ids left. */
  get size(): number {
    return this.#size;
  }

  /** Takes the id with the largest key. */
  next(): number {
    const ids = this.#ids;
    const first = ids[0];
    ids[0] = ids[--this.#size];
    this.#sink(0);
    return first;
  }

  #sink(at: number): void {
    const ids = this.#ids;
    const id = ids[at];
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#before(ids[child + 1], ids[child])) child++;
      if (!this.#before(ids[child], id)) break;
      ids[at] = ids[child];
      at = child;
    }
    ids[at] = id;
  }

  #before(a: number, b: number): boolean {
    const keys = this.#keys;
    return keys[a] > keys[b] || (keys[a] === keys[b] && a < b);
  }
}
