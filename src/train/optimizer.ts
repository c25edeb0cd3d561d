/**
 * The optimizers, by name. An optimizer is composed of rules, each of which declares its moments and
 * hyperparameters. For AdamW and SGD, one fused kernel applies all rules in a single pass over parameters, gradients and
 * moments: the update is bound by memory bandwidth, so a pass per rule would multiply its time.
 */
import { HYPER, HYPER_SLOTS } from '../engine/signatures.ts';
import type { ModelConfig } from '../model/config.ts';
import { isFixed, isLinearWeight, type Parameter } from '../model/parameter.ts';
import { elements, parameterTable } from '../model/parameters.ts';
import {
  recordAdamw,
  recordLion,
  recordMuonAndAdamw,
  recordSgd,
  type RecordUpdate,
} from './record-update.ts';

/** Options that are constant over a run; the learning rate comes from the schedule. */
export interface OptimizerOptions {
  readonly optimizer: OptimizerName;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly momentum: number;
  /** Maximum global gradient norm; 0: no clipping. */
  readonly gradClip: number;
}

/** The learning rates of one update. */
interface LearningRates {
  readonly learningRate: number;
  /** Of the matrices that Muon updates. */
  readonly matrixLearningRate: number;
}

/** An option that a rule may declare to use. */
export type UsedOption = Exclude<keyof OptimizerOptions, 'optimizer'> | 'muonLearningRate' | 'muonScale';

type Hyperparameters = { readonly [Slot in keyof typeof HYPER]?: number };

interface UpdateRule {
  /** Names of the moments, which are 0 before the first update. */
  readonly moments: readonly string[];
  /** The options it uses; a run warns about others, which have no effect. */
  readonly options: readonly UsedOption[];
  /** Hyperparameters of update `t`, counted from 1. */
  readonly hyper: (options: OptimizerOptions, t: number, rates: LearningRates) => Hyperparameters;
}

/** Defines a rule, whose hyperparameters can depend only on the options it names. */
const rule = <Used extends UsedOption>(
  made: Omit<UpdateRule, 'options' | 'hyper'> & {
    readonly options: readonly Used[];
    readonly hyper: (
      options: Pick<OptimizerOptions, Used & keyof OptimizerOptions>,
      t: number,
      rates: LearningRates,
    ) => Hyperparameters;
  },
): UpdateRule => made;

/** Scales the gradient so that its global norm is at most `gradClip` (Pascanu et al. 2013). */
const clip = rule({ moments: [], options: ['gradClip'], hyper: ({ gradClip }) => ({ clip: gradClip }) });

/** Weight decay of matrices: decoupled in AdamW, added to the gradient in SGD. */
const decay = rule({ moments: [], options: ['weightDecay'], hyper: ({ weightDecay }) => ({ weightDecay }) });

/** Heavy-ball momentum: m = momentum·m + g; x −= lr·m. */
const momentum = rule({
  moments: ['m'],
  options: ['momentum'],
  hyper: (options) => ({ momentum: options.momentum }),
});

/** Muon's momentum. Muon and AdamW both use the moment m, each for its own parameters. See muon.ts. */
const orthogonalMomentum = rule({
  moments: [],
  options: ['momentum', 'muonLearningRate', 'muonScale'],
  hyper: ({ momentum: mu }, _t, { matrixLearningRate }) => ({
    momentum: mu,
    oneMinusMomentum: 1 - mu,
    matrixLearningRate,
  }),
});

/**
 * Adam (Kingma & Ba 2015, algorithm 1), in torch.optim.AdamW's arithmetic. 1 − β is rounded once, from float64, and so are the
 * bias corrections, which must match it.
 */
const adam = rule({
  moments: ['m', 'v'],
  options: ['beta1', 'beta2', 'epsilon'],
  hyper: ({ beta1, beta2, epsilon }, t) => ({
    beta1,
    beta2,
    epsilon,
    oneMinusBeta1: 1 - beta1,
    oneMinusBeta2: 1 - beta2,
    correction1: 1 - beta1 ** t,
    correction2: 1 - beta2 ** t,
  }),
});

/**
 * Lion (Chen et al. 2023, algorithm 2): a step of equal size for every parameter, along the sign of c = β₁·m + (1 − β₁)·g. The
 * moment follows with another β: m = β₂·m + (1 − β₂)·g.
 */
const signMomentum = rule({
  moments: ['m'],
  options: ['beta1', 'beta2'],
  hyper: ({ beta1, beta2 }) => ({
    beta1,
    beta2,
    oneMinusBeta1: 1 - beta1,
    oneMinusBeta2: 1 - beta2,
  }),
});

export interface Optimizer extends UpdateRule {
  readonly record: RecordUpdate;
  /** Whether a trained parameter has a moment. */
  readonly uses: (moment: string, parameter: Parameter) => boolean;
}

const compose = (
  rules: readonly UpdateRule[],
  record: RecordUpdate,
  uses: Optimizer['uses'] = () => true,
): Optimizer => ({
  moments: rules.flatMap(({ moments }) => moments),
  options: rules.flatMap(({ options }) => options),
  hyper: (...args) => Object.assign({}, ...rules.map(({ hyper }) => hyper(...args))) as Hyperparameters,
  record,
  uses,
});

/** Moments are stored in optimizer.safetensors under these names: renaming one would break older runs. */
const table = {
  adamw: compose([clip, decay, adam], recordAdamw),
  sgd: compose([clip, decay, momentum], recordSgd),
  lion: compose([clip, decay, signMomentum], recordLion),
  muon: compose(
    [clip, decay, adam, orthogonalMomentum],
    recordMuonAndAdamw,
    (moment, parameter) => moment === 'm' || !isLinearWeight(parameter),
  ),
};
export type OptimizerName = keyof typeof table;
export const optimizers: Readonly<Record<OptimizerName, Optimizer>> = table;
export const optimizerNames = Object.keys(table) as readonly OptimizerName[];

/**
 * Number of 4-byte values of a model's parameters and of the gradients and moments of the trained ones. AdamW's 16 bytes per
 * parameter are as many as in mixed precision: 2 + 2 + 4 + 4 + 4 (Rajbhandari et al. 2020, section 3.1).
 */
export function stateNumbers(name: OptimizerName, config: ModelConfig): number {
  const { moments, uses } = optimizers[name];
  const numbers = (parameter: Parameter): number =>
    parameter.isTrained ? 2 + moments.filter((moment) => uses(moment, parameter)).length : 1;
  return parameterTable(config)
    .filter((parameter) => !isFixed(parameter))
    .reduce((sum, parameter) => sum + numbers(parameter) * elements(parameter.shape), 0);
}

/** The hyperparameters of update `t`, counted from 1, in the kernels' slots. */
export function hyperparameters(options: OptimizerOptions, t: number, rates: LearningRates): Float64Array {
  const slots = new Float64Array(HYPER_SLOTS);
  const hyper = {
    learningRate: rates.learningRate,
    ...optimizers[options.optimizer].hyper(options, t, rates),
  };
  for (const [slot, value] of Object.entries(hyper)) slots[HYPER[slot as keyof typeof HYPER]] = value;
  return slots;
}
