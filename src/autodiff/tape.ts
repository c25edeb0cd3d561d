/** The ops of the model language, and the tape: a recorder with a method for each of them. */
import type { Value } from './graph.ts';
import { Recorder, type Op } from './recorder.ts';
import { add } from './ops/add.ts';
import { attention } from './ops/attention.ts';
import { crossEntropy } from './ops/cross-entropy.ts';
import { dropout } from './ops/dropout.ts';
import { embedding } from './ops/embedding.ts';
import { gelu } from './ops/gelu.ts';
import { geluErf } from './ops/gelu-erf.ts';
import { layerNorm } from './ops/layer-norm.ts';
import { linear } from './ops/linear.ts';
import { matmul } from './ops/matmul.ts';
import { relu } from './ops/relu.ts';
import { rmsNorm } from './ops/rms-norm.ts';
import { rotary } from './ops/rotary.ts';
import { scale } from './ops/scale.ts';
import { softmax } from './ops/softmax.ts';
import { swiglu } from './ops/swiglu.ts';

/** All ops that models are built from. */
export const ops = {
  embedding,
  linear,
  matmul,
  add,
  scale,
  gelu,
  geluErf,
  relu,
  swiglu,
  softmax,
  layerNorm,
  rmsNorm,
  rotary,
  attention,
  dropout,
  crossEntropy,
};
export type OpName = keyof typeof ops;

/** Each op as a function of its arguments, without the recorder. */
type OpMethods = {
  [K in OpName]: (typeof ops)[K] extends Op<infer Arguments, infer _> ? (...args: Arguments) => Value : never;
};

/** A recorder with one method per op: `t.gelu(x)` records GELU and keeps its backward rule. */
export type Tape = Recorder & OpMethods;

export function createTape(): Tape {
  const tape = new Recorder();
  for (const [name, op] of Object.entries(ops))
    Object.assign(tape, {
      [name]: (...args: never[]) => tape.apply(op as Op<never[], unknown>, ...args),
    });
  return tape as Tape;
}
