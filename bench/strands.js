/**
 * Speed-up from strands: Muon's update and a whole training step, in strands and with every GEMM shared by all threads.
 *
 *     npm run build && node bench/strands.js [--rounds 15] [--threads 2]
 */
import { compareSteps } from './step-variants.js';

await compareSteps(['update', 'step'], {
  shared: (instruction) => ({ ...instruction, strand: undefined }),
  'in strands': (instruction) => instruction,
});
