/**
 * Speed-up from split-K: the gradient and a whole training step, with the threads dividing the sums of weight gradients
 * (src/kernels/gemm/split-k.ts), and with the threads dividing the weight, as in all other products.
 *
 *     npm run build && node bench/split-k.js [--rounds 15] [--threads 2]
 */
import { compareSteps } from './step-forms.js';

/** A bias of zeros: a product with a bias is not split. */
const notSplit = (instruction, zeros) =>
  instruction.kernel === 'gemm' && instruction.args.transA && instruction.args.bias === null
    ? { ...instruction, args: { ...instruction.args, bias: { offset: zeros, length: instruction.args.N } } }
    : instruction;

await compareSteps(['gradient', 'step'], {
  'weight divided': notSplit,
  'sum divided': (instruction) => instruction,
});
