/**
 * The optimizers, by name. An optimizer is composed of rules; each says which state it keeps for a parameter and which
 * hyperparameters it needs. One kernel runs all rules of an optimizer in a single pass over parameters, gradients and
 * moments: the update is bound by memory bandwidth, so a pass for each rule would multiply its time.
 */
import type { Value } from '../autodiff/graph.ts';
import type { Recorder } from '../autodiff/recorder.ts';
import { HYPER, HYPER_SLOTS } from '../engine/signatures.ts';

/** What stays the same over a run; the learning rate comes from the schedule. */
export interface OptimizerOptions {
  readonly optimizer: OptimizerName;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly momentum: number;
  /** Clip the global gradient norm to this; 0: do not. */
  readonly gradClip: number;
}

type Hyperparameters = { readonly [Slot in keyof typeof HYPER]?: number };

interface Rule {
  /** State of each parameter, 0 before the first update. */
  readonly moments: readonly string[];
  /** Hyperparameters of update `t`, counted from 1. */
  readonly hyper: (options: OptimizerOptions, t: number) => Hyperparameters;
}

/** Scales the gradient so that its global norm is at most `gradClip` (Pascanu et al. 2013). */
const clip: Rule = { moments: [], hyper: ({ gradClip }) => ({ clip: gradClip }) };

/** Pulls matrices towards 0: in AdamW decoupled from the gradient, in SGD as a part of it. */
const decay: Rule = { moments: [], hyper: ({ weightDecay }) => ({ weightDecay }) };

/** Heavy-ball momentum: m = momentum·m + g; x −= lr·m. */
const momentum: Rule = { moments: ['m'], hyper: (options) => ({ momentum: options.momentum }) };

/**
 * Adam (Kingma & Ba 2015, algorithm 1), in torch.optim.AdamW's arithmetic. 1 − β is rounded once, from float64, as are the
 * bias corrections, which have to match it; they undo the moments' start at 0.
 */
const adam: Rule = {
  moments: ['m', 'v'],
  hyper: ({ beta1, beta2, epsilon }, t) => ({
    beta1,
    beta2,
    epsilon,
    oneMinusBeta1: 1 - beta1,
    oneMinusBeta2: 1 - beta2,
    correction1: 1 - beta1 ** t,
    correction2: 1 - beta2 ** t,
  }),
};

/** What an update works on: blocks that are laid out alike, of `n` elements, the first `decayed` of them matrices. */
export interface OptimizerValues {
  readonly x: Value;
  readonly dX: Value;
  /** In the order of `Optimizer.moments`. */
  readonly moments: readonly Value[];
  readonly hyper: Value;
  /** [1]: the global gradient norm. */
  readonly norm: Value;
  readonly n: number;
  readonly decayed: number;
}

export interface Optimizer extends Rule {
  /** Records the update of all trained parameters. */
  readonly record: (t: Recorder, values: OptimizerValues) => void;
}

const compose = (rules: readonly Rule[], record: Optimizer['record']): Optimizer => ({
  moments: rules.flatMap(({ moments }) => moments),
  hyper: (options, t) => Object.assign({}, ...rules.map(({ hyper }) => hyper(options, t))) as Hyperparameters,
  record,
});

/** Moments are stored in optimizer.safetensors under these names, so a rule that is renamed cannot read older runs. */
const table = {
  adamw: compose([clip, decay, adam], (t, { moments: [m, v], ...values }) =>
    t.emit('adamw', { ...values, m, v }),
  ),
  sgd: compose([clip, decay, momentum], (t, { moments: [m], ...values }) => t.emit('sgd', { ...values, m })),
};
export type OptimizerName = keyof typeof table;
export const optimizers: Readonly<Record<OptimizerName, Optimizer>> = table;
export const optimizerNames = Object.keys(table) as readonly OptimizerName[];

/**
 * Numbers of 4 bytes a parameter takes while it is trained: itself, its gradient and its moments. AdamW's 16 bytes are those
 * of mixed precision, too: 2 + 2 + 4 + 4 + 4 (Rajbhandari et al. 2020, section 3.1).
 */
export const numbersPerParameter = (name: OptimizerName): number => 2 + optimizers[name].moments.length;

/** The hyperparameters of update `t`, counted from 1, in the slots where the kernels read them. */
export function hyperparameters(options: OptimizerOptions, t: number, learningRate: number): Float64Array {
  const slots = new Float64Array(HYPER_SLOTS);
  const hyper = { learningRate, ...optimizers[options.optimizer].hyper(options, t) };
  for (const [slot, value] of Object.entries(hyper)) slots[HYPER[slot as keyof typeof HYPER]] = value;
  return slots;
}
