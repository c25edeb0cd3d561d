/**
 * The memory layout of a training run, and its programs: forward and backward pass, sum of gradients, gradient norm, update,
 * evaluation. They are recorded and planned once, before step 0.
 */
import { differentiate } from '../autodiff/gradients.ts';
import type { Value } from '../autodiff/graph.ts';
import { plan, type Program } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import { elementsOf, Layout, type Region } from '../engine/memory.ts';
import { HYPER_SLOTS, NORM_BLOCK } from '../engine/signatures.ts';
import type { ModelConfig } from '../model/config.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { isFixed, isLinearWeight } from '../model/parameter.ts';
import { countParameters, elements, parameterTable } from '../model/parameters.ts';
import {
  parameterValues,
  partialLayout,
  placeModel,
  toNormBlocks,
  within,
  type PlacedModel,
  type StorageOf,
} from '../model/placement.ts';
import type { MuonScale } from './muon.ts';
import { planGradientSum } from './gradient-sum.ts';
import { planStepResults, type PlannedResults, type StepResults } from './step-results.ts';
import { stateNumbers, optimizers, type OptimizerName } from './optimizer.ts';
import { microBatchesOf, subtreesOf, type Subtree } from './ordered-sum.ts';
import { divideParameters, type Bucket } from './ranks/division.ts';
import { recordAverage, type MatrixPlace, type Range } from './record-update.ts';

/** Inputs of a pass over a batch, at fixed places in memory. */
export interface BatchMemory {
  readonly B: number;
  readonly T: number;
  /** int32 [B,T]: token ids, their positions, and the next ids (−1: not counted). */
  readonly ids: Region;
  readonly positions: Region;
  readonly targets: Region;
  /** int32 [B,T]: the start of each position's document in its row; undefined if a row is one document. */
  readonly starts: Region | undefined;
  /** int32 [4]: seed (2 words), step, micro-batch. */
  readonly rng: Region;
}

/** A moment of the optimizer, for the trained parameters that have it. */
interface Moment {
  readonly name: string;
  readonly region: Region;
  /** Their placement in the region. */
  readonly parameters: PlacedModel['block']['parameters'];
}

/** Forward pass only, without dropout; `losses` is the offset of the per-token losses. */
export interface EvaluationProgram {
  readonly program: Program;
  readonly losses: number;
}

/** The memory layout of a training run, and its programs. */
export interface TrainingPrograms {
  readonly model: PlacedModel;
  readonly batch: BatchMemory;
  /** Inputs of an evaluation batch: the same memory, unless its batch is larger (evaluationBatchSize). */
  readonly evaluationBatch: BatchMemory;
  readonly gradients: Region;
  readonly moments: readonly Moment[];
  /** The moving average of the parameters, a model of its own; undefined if none is kept. See weight-average.ts. */
  readonly average: { readonly model: PlacedModel; readonly evaluation: EvaluationProgram } | undefined;
  readonly hyper: Region;
  /** [B·T]: derivative of the step's loss with respect to each token's: 1/counted targets of the step. */
  readonly dLosses: Region;
  /** [1]: the global gradient norm of the last optimizer step, before clipping. */
  readonly norm: Region;
  /**
   * Forward and backward over a micro-batch, overwriting the gradients. `trainingLosses` is the offset of the losses, which are
   * those without label smoothing: comparable with the validation loss and with other runs.
   */
  readonly forwardBackward: Program;
  readonly trainingLosses: number;
  /** Adds the micro-batches' gradients, bucket by bucket: see gradient-sum.ts. */
  readonly gradientSum: Program;
  /** Results of a step that is submitted as a whole, for the host to read; undefined otherwise. See step-results.ts. */
  readonly results: StepResults | undefined;
  /** The trained parameters, divided among the ranks; a single bucket with a single slice for one process. */
  readonly buckets: readonly Bucket[];
  /** The global gradient norm, and the update that scales the gradient by it. */
  readonly gradientNorm: Program;
  readonly update: Program;
  readonly evaluation: EvaluationProgram;
  /** Memory to reserve, in 4-byte elements. */
  readonly end: number;
}

/** A process among those that train one model. */
export interface Ranks {
  readonly rank: number;
  readonly size: number;
}

export interface TrainingShape {
  readonly config: ModelConfig;
  readonly batchSize: number;
  /** Of the whole step, however many processes share it. */
  readonly microBatches: number;
  readonly optimizer: OptimizerName;
  /** `neuron` if absent. */
  readonly muonScale?: MuonScale;
  /** 0 if absent. */
  readonly labelSmoothing?: number;
  /** Whether a moving average of the parameters is kept. */
  readonly hasAverage?: boolean;
  /** Whether tokens attend only within their document. */
  readonly hasDocumentMask?: boolean;
  /** The rank whose programs these are, and the number of ranks; absent: one process. */
  readonly ranks?: Ranks;
  /** The same, if every rank trains a replica of its own; its programs are then those of one process. */
  readonly replicas?: Ranks;
  /** How frozen parameters are stored: with adapters, in the precision of the base model's file. Absent: float32. */
  readonly frozenStorage?: StorageOf | undefined;
}

/** The storage of each parameter. An average covers frozen ones too, in float32. */
function storageIn({ hasAverage = false, frozenStorage }: TrainingShape): StorageOf {
  if (hasAverage || frozenStorage === undefined) return () => 'f32';
  return (parameter) => (parameter.isTrained ? 'f32' : frozenStorage(parameter));
}

/** Bytes that narrower types of frozen parameters save. */
function savedBytes(shape: TrainingShape): number {
  const storageOf = storageIn(shape);
  return parameterTable(shape.config)
    .filter((parameter) => !isFixed(parameter))
    .map((parameter) => ({ length: elements(parameter.shape), storage: storageOf(parameter) }))
    .reduce((sum, { length, storage }) => sum + 4 * (length - elementsOf(length, storage)), 0);
}

/** Bytes of the parameters, their gradients, the optimizer's moments and, if it is kept, the average of the parameters. */
export function stateBytes(shape: TrainingShape): number {
  const { config, optimizer, hasAverage = false } = shape;
  const numbers = stateNumbers(optimizer, config) + (hasAverage ? countParameters(config) : 0);
  return 4 * numbers - savedBytes(shape);
}

/**
 * The number of micro-batches whose gradients this process adds up: all, a replica's share of the step, or the largest subtree
 * of a rank. Rank 0 of ranks that share every step repeats it alone if it is faulty (Trainer.findFault).
 */
function summedMicroBatches({ microBatches, ranks, replicas }: TrainingShape): number {
  const length = ({ start, end }: Subtree): number => end - start;
  if (replicas !== undefined) return length(microBatchesOf(replicas.rank, microBatches, replicas.size));
  if (ranks === undefined || ranks.rank === 0) return microBatches;
  return Math.max(...subtreesOf(ranks.rank, microBatches, ranks.size).map(length));
}

/** Lays out memory, then records, differentiates and plans the programs of a training run. */
export function trainingPrograms(shape: TrainingShape): TrainingPrograms {
  const { config, batchSize, optimizer, hasAverage = false, hasDocumentMask } = shape;
  const { rank, size } = shape.ranks ?? { rank: 0, size: 1 };
  const layout = new Layout();
  const model = placeModel(config, layout, storageIn(shape), toNormBlocks);
  const n = model.block.trained;
  const gradients = layout.allocate(n);
  const { moments: names, uses } = optimizers[optimizer];
  const moments = names.map((name): Moment => {
    const { parameters, length } = partialLayout(model.block, (parameter) => uses(name, parameter));
    return { name, region: layout.allocate(length), parameters };
  });
  const averaged = hasAverage ? placeModel(config, layout, storageIn(shape), toNormBlocks) : undefined;
  const hyper = layout.allocate(HYPER_SLOTS);
  const norm = layout.allocate(1);
  // globalNorm's float64 partial sums take two elements each.
  const partials = layout.allocate(2 * Math.ceil(n / NORM_BLOCK));
  const place = (B: number): BatchMemory => placeBatch(layout, B, config.blockSize, hasDocumentMask);
  const batch = place(batchSize);
  const evaluated = evaluationBatchSize(batchSize, config.blockSize);
  const evaluationBatch = evaluated === batchSize ? batch : place(evaluated);
  const dLosses = layout.allocate(batchSize * config.blockSize);
  const matrices = matricesOf(model);
  const buckets = divideParameters(n, optimizer === 'muon' ? matrices : [], size);
  const gradientSum = planGradientSum(layout, gradients, summedMicroBatches(shape), buckets);
  const placeResults = placeStepResults(layout, shape);
  const start = layout.end;

  const training = planTraining(shape, model, batch, { gradients, dLosses, start });
  const owned = buckets.flatMap(({ slices }) => slices.filter(({ owner }) => owner === rank));
  const optimizing = planOptimizer(
    { name: optimizer, muonScale: shape.muonScale ?? 'neuron', model, matrices, start, owned },
    {
      gradients,
      moments: moments.map((m) => m.region),
      hyper,
      norm,
      partials,
      average: averaged?.region,
    },
  );
  const evaluationOf = (placed: PlacedModel) => planEvaluation(placed, evaluationBatch, start);
  const evaluation = evaluationOf(model);

  return {
    model,
    batch,
    evaluationBatch,
    gradients,
    moments,
    average: averaged && { model: averaged, evaluation: evaluationOf(averaged) },
    hyper,
    dLosses,
    norm,
    ...training,
    gradientSum,
    results: placeResults?.({ losses: training.trainingLosses, norm, hyper }),
    buckets,
    ...optimizing,
    evaluation,
    end: Math.max(training.forwardBackward.end, evaluation.program.end, optimizing.update.end),
  };
}

/** Maximum number of micro-batches of a step that is submitted as a whole. More of them hide the wait for the results anyway. */
const WHOLE_STEP = 32;

/** Only a process that trains alone submits whole steps: ranks communicate during steps, or between them as replicas. */
function placeStepResults(layout: Layout, shape: TrainingShape): PlannedResults | undefined {
  const { config, batchSize, microBatches, ranks, replicas } = shape;
  if (ranks !== undefined || replicas !== undefined || microBatches > WHOLE_STEP) return undefined;
  return planStepResults(layout, { microBatches, tokens: batchSize * config.blockSize });
}

/** Records, differentiates and plans a micro-batch. */
function planTraining(
  { labelSmoothing = 0, microBatches, replicas }: TrainingShape,
  model: PlacedModel,
  batch: BatchMemory,
  { gradients, dLosses, start }: { gradients: Region; dLosses: Region; start: number },
): Pick<TrainingPrograms, 'forwardBackward' | 'trainingLosses'> {
  const { tape, lookup, logits, targets, losses } = recordLoss(model, batch, { isTraining: true });
  const regions = new Map<Value, Region>();
  for (const entry of model.block.parameters)
    if (entry.parameter.isTrained) regions.set(lookup(entry.parameter.name), within(gradients, entry));
  // Label smoothing changes what is differentiated, not the loss that is shown.
  const objective =
    labelSmoothing > 0
      ? tape.scope('loss', () => tape.crossEntropy(logits, targets, labelSmoothing))
      : losses;
  const seed = tape.external('dLosses', losses.shape, dLosses);
  // A replica averages over its own micro-batches; ranks share those of one model.
  const averaged = Math.ceil(microBatches / (replicas?.size ?? 1));
  differentiate(tape, objective, seed, regions, averaged * batch.B * batch.T);
  const forwardBackward = plan(tape.nodes, start, [losses]);
  return { forwardBackward, trainingLosses: forwardBackward.buffer(losses).offset };
}

/** Up to this many rows, a product with a transposed matrix uses another kernel (kernels/gemm/gemm.ts). */
const MIN_TOKENS_EVALUATED = 17;

/**
 * Sequences in an evaluation batch, at least `batchSize`. A loss must be bit-identical however a text is divided
 * into batches, but the kernel for the logits of up to 16 tokens rounds differently.
 */
export const evaluationBatchSize = (batchSize: number, blockSize: number): number =>
  Math.max(batchSize, Math.ceil(MIN_TOKENS_EVALUATED / blockSize));

/** Reserves the inputs of a pass over B sequences of T tokens. @param hasDocuments rows are divided into documents */
export function placeBatch(layout: Layout, B: number, T: number, hasDocuments = false): BatchMemory {
  return {
    B,
    T,
    ids: layout.allocate(B * T, 'i32'),
    positions: layout.allocate(B * T, 'i32'),
    targets: layout.allocate(B * T, 'i32'),
    starts: hasDocuments ? layout.allocate(B * T, 'i32') : undefined,
    rng: layout.allocate(4, 'i32'),
  };
}

/** Records the model and the loss of each token of a batch, with dropout in training. */
export function recordLoss(model: PlacedModel, batch: BatchMemory, { isTraining = false } = {}) {
  const { B, T } = batch;
  const tape = createTape();
  const { config } = model;
  const ids = tape.external('ids', [B, T], batch.ids);
  const positions = tape.external('positions', [B, T], batch.positions);
  const targets = tape.external('targets', [B, T], batch.targets);
  const starts = batch.starts && tape.external('starts', [B, T], batch.starts);
  const rng = tape.external('rng', [4], batch.rng);
  const { lookup } = parameterValues(
    tape,
    model,
    isTraining ? { rng, probability: config.lora?.dropout ?? 0 } : undefined,
  );
  const architecture = architectureOf(config);
  const dropout = isTraining ? config.dropout : 0;
  const { transposed } = model;
  const inputs = { ids, positions, starts, rng, dropout, transposed };
  const { hidden } = architecture.forward(tape, config, lookup, inputs);
  const logits = architecture.head(tape, config, lookup, hidden); // [B,T,V]
  const losses = tape.scope('loss', () => tape.crossEntropy(logits, targets)); // [B·T]
  return { tape, lookup, logits, losses, targets };
}

/** @param start first free element */
function planEvaluation(model: PlacedModel, batch: BatchMemory, start: number): EvaluationProgram {
  const { tape, losses } = recordLoss(model, batch);
  const program = plan(tape.nodes, start, [losses]);
  return { program, losses: program.buffer(losses).offset };
}

interface OptimizerMemory {
  readonly gradients: Region;
  readonly moments: readonly Region[];
  readonly hyper: Region;
  readonly norm: Region;
  readonly partials: Region;
  readonly average: Region | undefined;
}

interface OptimizerPlan {
  readonly name: OptimizerName;
  readonly muonScale: MuonScale;
  readonly model: PlacedModel;
  readonly matrices: readonly MatrixPlace[];
  /** First free element. */
  readonly start: number;
  /** What to update. */
  readonly owned: readonly Range[];
}

/** The optimizer's two programs. */
function planOptimizer(
  { name, muonScale, model, matrices, start, owned }: OptimizerPlan,
  memory: OptimizerMemory,
): Pick<TrainingPrograms, 'gradientNorm' | 'update'> {
  const tape = createTape();
  const { trained: n, decayed, total } = model.block;
  const value = (label: string, region: Region) => tape.external(label, [region.length], region);
  const x = value('parameters', model.region);
  const dX = value('gradients', memory.gradients);
  const norm = value('norm', memory.norm);
  const partials = value('partials', memory.partials);
  tape.scope('optimizer', () => tape.emit('globalNorm', { x: dX, partials, norm, n }));
  const gradientNorm = plan(tape.nodes, 0); // has no activations to place

  const updating = createTape();
  const moments = memory.moments.map((region, i) => value(optimizers[name].moments[i], region));
  const hyper = value('hyper', memory.hyper);
  const values = { x, dX, moments, hyper, norm, decayed, muonScale };
  updating.scope('optimizer', () => {
    optimizers[name].record(updating, values, matrices, owned);
    if (memory.average === undefined) return;
    const average = value('average', memory.average);
    // Parameters that are not trained never change, nor does their average.
    const averaged = owned.map(({ start: from, end }) => ({ start: from, end: end === n ? total : end }));
    for (const range of averaged) recordAverage(updating, { x, average, hyper }, range);
  });
  return { gradientNorm, update: plan(updating.nodes, start) };
}

/** The matrices of linear layers, in the order of the block. */
function matricesOf(model: PlacedModel): MatrixPlace[] {
  return model.block.parameters
    .filter(({ parameter }) => parameter.isTrained && isLinearWeight(parameter))
    .map(({ parameter, start, length }) => ({
      name: parameter.name,
      start,
      paddedLength: toNormBlocks(parameter, length),
      shape: parameter.shape,
      isTransposed: parameter.role === 'transposed linear weight',
    }));
}
