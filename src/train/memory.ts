/** Checks that a training run fits in memory, before anything is allocated. */
import { EngineMemoryError } from '../engine/engine-memory-error.ts';
import { gpuMemoryLimit } from '../engine/device-choice.ts';
import { onCpu } from '../engine/webgpu/failures.ts';
import { addressableBytes } from '../engine/wasm/address-space.ts';
import { formatMemory } from '../format-memory.ts';
import { machineMemory } from '../machine-memory.ts';
import { optionName, optionValues } from '../messages.ts';
import type { ModelConfig } from '../model/config.ts';
import { stateBytes, trainingPrograms, type TrainingPrograms, type TrainingShape } from './programs.ts';
import { replicaBytes } from './replicas/replica-memory.ts';
import { transferBytes } from './ranks/transfer-memory.ts';

export interface MemoryLimit {
  readonly bytes: number;
  /** Subject and verb for messages about the limit: 'the engine can address'. */
  readonly who: string;
  /** What it limits: the engine's memory alone, or that of the whole process. */
  readonly of: 'engine' | 'process';
  readonly isGpu?: true;
}

/** Bytes that a run needs. */
export interface MemoryNeed {
  readonly engine: number;
  /** Outside the engine, for transfers between ranks and for the outer optimizer of replicas. */
  readonly transfers: number;
}

export const memoryNeed = (
  { ranks, replicas, microBatches }: TrainingShape,
  programs: TrainingPrograms,
): MemoryNeed => ({
  engine: 4 * programs.end,
  transfers:
    replicas !== undefined
      ? replicaBytes(programs, replicas)
      : ranks !== undefined
        ? transferBytes(programs.buckets, ranks, microBatches)
        : 0,
});

/**
 * The engine's address space, and the RAM of this computer or its container; of a GPU, its largest buffer.
 *
 * @param ranksHere processes that share the RAM, each with an equal part of the run
 */
export function memoryLimits(threads: number, ranksHere = 1): readonly MemoryLimit[] {
  const gpu = gpuMemoryLimit();
  if (gpu !== undefined) return [{ bytes: gpu, who: 'the GPU allows', of: 'engine', isGpu: true }];
  return [
    { bytes: addressableBytes(threads), who: 'the engine can address', of: 'engine' },
    {
      bytes: machineMemory() / ranksHere,
      who: ranksHere === 1 ? 'this computer has' : `each of the ${ranksHere} ranks on this computer has`,
      of: 'process',
    },
  ];
}

/** The smaller limit of a process that trains alone. */
export const memoryLimit = (threads: number): MemoryLimit =>
  memoryLimits(threads).reduce((least, limit) => (limit.bytes < least.bytes ? limit : least));

/**
 * @throws EngineMemoryError if a run needs more memory than one of the limits, saying what would fit
 */
export function checkMemory(shape: TrainingShape, need: MemoryNeed, limits: readonly MemoryLimit[]): void {
  for (const limit of limits) {
    const bytes = bytesWithin(limit, need);
    if (bytes <= limit.bytes) continue;
    throw new EngineMemoryError(
      `this needs ${formatMemory(bytes)} of memory; ${limit.who} ${formatMemory(limit.bytes)}`,
      {
        hint: limit.isGpu ? `${whatFits(shape, limit)}; or use ${onCpu}` : whatFits(shape, limit),
      },
    );
  }
}

/** The same for parameters, gradients and moments alone: recording the programs of a model far too large would fail. */
export const checkStateMemory = (shape: TrainingShape, limits: readonly MemoryLimit[]): void =>
  checkMemory(shape, { engine: stateBytes(shape), transfers: 0 }, limits);

const bytesWithin = (limit: MemoryLimit, { engine, transfers }: MemoryNeed): number =>
  engine + (limit.of === 'process' ? transfers : 0);

function whatFits(shape: TrainingShape, limit: MemoryLimit): string {
  const { config, batchSize, microBatches } = shape;
  const state = stateBytes(shape);
  if (state > limit.bytes) return useLess(config, state);
  const needs = (change: Partial<TrainingShape>): number => {
    const changed = { ...shape, ...change };
    return bytesWithin(limit, memoryNeed(changed, trainingPrograms(changed)));
  };
  for (let size = Math.floor(batchSize / 2); size >= 1; size = Math.floor(size / 2)) {
    const steps = Math.ceil(batchSize / size) * microBatches;
    const bytes = needs({ batchSize: size, microBatches: steps });
    if (bytes <= limit.bytes)
      return `try ${optionValues({ batchSize: size, gradientAccumulationSteps: steps })}, which needs ${formatMemory(bytes)}`;
  }
  for (let T = Math.floor(config.blockSize / 2); T >= 8; T = Math.floor(T / 2)) {
    const bytes = needs({ config: { ...config, blockSize: T }, batchSize: 1 });
    if (bytes <= limit.bytes)
      return `try ${optionValues({ batchSize: 1, blockSize: T })}, which needs ${formatMemory(bytes)}`;
  }
  return useLess(config, state);
}

/** @param state bytes that a shorter context or a smaller batch would not save */
function useLess({ lora }: ModelConfig, state: number): string {
  const what =
    lora === undefined
      ? `a smaller model, or adapters of a trained one with ${optionName('loraRank')}`
      : `a smaller base model or a lower ${optionName('loraRank')}`;
  return `use ${what}: parameters, gradients and the optimizer's state alone take ${formatMemory(state)}`;
}
