/** Options of training: length, batches, and those of the modules imported here. */
import { batchSamplings, type BatchSampling } from '../../data/batches.ts';
import { matmulPrecisions, type MatmulPrecision } from '../../engine/matmul-precision.ts';
import { presets } from '../../model/config.ts';
import { choice, number, seed, trueOrFalse, wholeNumber } from '../../values.ts';
import { recipes } from '../recipe.ts';
import { historyRows } from './history.ts';
import { learningRateRows } from './learning-rate.ts';
import { optimizerRows } from './optimizer.ts';
import { rankRows } from './ranks.ts';
import { optional, orAbsent, PRESET_OR_CHOSEN, row } from './row.ts';
import { belowOne, positive } from './values.ts';

/** About twenty years. */
const MAX_MINUTES = 1e7;
/** The index of a step is one word of the random streams' counters. */
const MAX_STEPS = 2 ** 32;
/** The index of a micro-batch is a word of the dropout masks' counters, below those of `Stream` in engine/philox.ts. */
const MAX_MICRO_BATCHES = 2 ** 30;

export const trainingRows = {
  /** Total time of the run, instead of maxIters; see budget.ts. */
  minutes: optional<number>({
    group: 'Training',
    value: number({ above: 0, max: MAX_MINUTES }),
    placeholder: 'n',
    help: 'total time in minutes',
    defaultHelp: '3, without --max-iters or --preset',
    onResume: 'invocation',
    conflicts: ['maxIters'],
  }),
  maxIters: row<number>({
    group: 'Training',
    value: wholeNumber({ min: 1, max: MAX_STEPS }),
    placeholder: 'n',
    help: 'optimizer steps',
    default: ({ preset }) => recipes[preset].maxIters,
    defaultHelp: "the preset's, or as many as the time allows",
    onResume: 'free',
  }),
  batchSize: row<number>({
    group: 'Training',
    value: positive,
    placeholder: 'n',
    help: 'sequences per micro-batch',
    default: ({ preset }) => presets[preset].batchSize,
    defaultHelp: PRESET_OR_CHOSEN,
    onResume: 'forced',
    changes: 'sample',
  }),
  gradientAccumulationSteps: row<number>({
    group: 'Training',
    value: wholeNumber({ min: 1, max: MAX_MICRO_BATCHES }),
    placeholder: 'n',
    help: 'micro-batches per step',
    default: 1,
    onResume: 'forced',
  }),
  batchSampling: row<BatchSampling>({
    group: 'Training',
    value: choice(batchSamplings),
    placeholder: 'how',
    help: 'random windows, or epochs without replacement',
    default: 'random',
    onResume: 'forced',
    stored: orAbsent(choice(batchSamplings)),
  }),
  /** Tokens attend only within their document, whose positions begin at 0. */
  documentMask: row<boolean>({
    group: 'Training',
    value: trueOrFalse,
    help: 'keep attention within a document, whose positions begin at 0',
    default: false,
    onResume: 'forced',
    stored: orAbsent(trueOrFalse),
    changes: 'sample',
  }),
  labelSmoothing: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'label smoothing; the losses shown are without it',
    default: 0,
    onResume: 'forced',
    stored: orAbsent(belowOne),
  }),
  ...learningRateRows,
  ...optimizerRows,
  ...rankRows,
  /** The CPU computes in float32, even when it resumes a GPU run. */
  matmulPrecision: row<MatmulPrecision>({
    group: 'Training',
    value: choice(matmulPrecisions),
    placeholder: 'type',
    help: 'GEMM operands on a GPU; the CPU computes in float32',
    default: 'float32',
    onResume: 'free', // as the device
    stored: orAbsent(choice(matmulPrecisions)),
  }),
  ...historyRows,
  seed: row<number>({
    group: 'Training',
    value: seed,
    placeholder: 'n',
    help: 'seed of all random numbers',
    default: 1337,
    onResume: 'forced',
  }),
};
