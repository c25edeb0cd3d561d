import type { KernelName } from '../signatures.ts';
import type { Dispatch, GemmChoice, KernelDispatches } from './dispatch.ts';
import type { Instruction } from '../instruction.ts';
import * as attention from './kernels/attention.ts';
import * as attentionCached from './kernels/attention-cached.ts';
import * as columnSums from './kernels/column-sums.ts';
import * as elementwise from './kernels/elementwise.ts';
import * as embedding from './kernels/embedding.ts';
import * as gemm from './kernels/gemm.ts';
import * as globalNorm from './kernels/global-norm.ts';
import * as loss from './kernels/loss.ts';
import * as normalization from './kernels/normalization.ts';
import * as optimizer from './kernels/optimizer.ts';
import * as rotary from './kernels/rotary.ts';

/** Every kernel; each file exports its own. A missing one is a compile error. */
const kernels: { readonly [K in KernelName]: KernelDispatches<K> } = {
  ...attention,
  ...attentionCached,
  ...columnSums,
  ...elementwise,
  ...embedding,
  ...gemm,
  ...globalNorm,
  ...loss,
  ...normalization,
  ...optimizer,
  ...rotary,
};

/** The dispatches of an instruction, in order. */
export const dispatchesOf = ({ kernel, args }: Instruction, choice?: GemmChoice): readonly Dispatch[] =>
  (kernels[kernel] as (args: unknown, choice?: GemmChoice) => readonly Dispatch[])(args, choice);
