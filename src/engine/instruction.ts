import type { KernelArguments, KernelName, NarrowStorage } from './signatures.ts';

/**
 * A range of a device's memory: `offset` in 4-byte elements, `length` in numbers.
 * `accumulate` is set on arguments of that role: the kernel adds to the buffer's contents instead of overwriting them.
 */
export interface Buffer {
  readonly offset: number;
  readonly length: number;
  /** Set on a strided view: the number of elements within `length` that belong to it. */
  readonly viewed?: number;
  readonly accumulate?: boolean;
  /** Set on the gradient of a mean loss: the tokens of the mean, by which its numbers are smaller than those of one token. */
  readonly averagedOver?: number;
  /** Set on the gradient of logits by cross-entropy: that of one token is within ±1, and most of its numbers are tiny. */
  readonly isOfLogits?: true;
  /** Set on arguments of the role `weights` that are not float32. */
  readonly storage?: NarrowStorage;
}

/**
 * One kernel call on fixed buffers.
 *
 * Adjacent instructions with the same number form a strand. No strand reads or writes what an adjacent one writes. A CPU runs each
 * strand on one thread, without barriers, while other threads run other strands, which pays where instructions are small. Other
 * devices run them in order.
 */
export type Instruction = {
  [K in KernelName]: {
    readonly kernel: K;
    readonly args: KernelArguments<K, Buffer>;
    readonly label: string;
    readonly strand?: number | undefined;
  };
}[KernelName];
