/**
 * Speed-up from split-K (src/kernels/gemm/split-k.ts): the forward and backward pass of a training step, and the whole step, with
 * and without it.
 *
 *     npm run build && node bench/split-k.js [--rounds 15] [--threads 2]
 */
import { compareSteps } from './step-variants.js';

/** Adds a bias of zeros to transposed products, such as weight gradients: with a bias, a product is not split. */
const notSplit = (instruction, zeros) =>
  instruction.kernel === 'gemm' && instruction.args.transA && instruction.args.bias === null
    ? { ...instruction, args: { ...instruction.args, bias: { offset: zeros, length: instruction.args.N } } }
    : instruction;

await compareSteps(['forward and backward pass', 'step'], {
  'not split': notSplit,
  'split-K': (instruction) => instruction,
});
