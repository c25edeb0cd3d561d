/** Checks that a training run fits in memory, before anything is allocated. */
import { EngineMemoryError } from '../engine/memory.ts';
import { addressableBytes } from '../engine/wasm/address-space.ts';
import { formatMemory, machineMemory } from '../machine-memory.ts';
import { optionName, optionValues } from '../messages.ts';
import type { ModelConfig } from '../model/config.ts';
import { stateBytes, trainingPrograms, type TrainingShape } from './programs.ts';

export interface MemoryLimit {
  readonly bytes: number;
  /** Subject and verb for messages about the limit: 'the engine can address'. */
  readonly who: string;
}

/** The smaller of the engine's address space and the RAM of this computer or its container. */
export function memoryLimit(threads: number): MemoryLimit {
  const engine = { bytes: addressableBytes(threads), who: 'the engine can address' };
  const machine = { bytes: machineMemory(), who: 'this computer has' };
  return machine.bytes < engine.bytes ? machine : engine;
}

/**
 * @param bytes needed by the run
 * @throws EngineMemoryError if that is more than the limit, saying what would fit
 */
export function checkMemory(shape: TrainingShape, bytes: number, limit: MemoryLimit): void {
  if (bytes <= limit.bytes) return;
  throw new EngineMemoryError(
    `this needs ${formatMemory(bytes)} of memory; ${limit.who} ${formatMemory(limit.bytes)}`,
    {
      hint: whatFits(shape, limit.bytes),
    },
  );
}

/** The same for parameters, gradients and moments alone: recording the programs of a model far too large would fail. */
export const checkStateMemory = (shape: TrainingShape, limit: MemoryLimit): void =>
  checkMemory(shape, stateBytes(shape), limit);

function whatFits(shape: TrainingShape, limit: number): string {
  const { config, batchSize, microBatches } = shape;
  const state = stateBytes(shape);
  if (state > limit) return useLess(config, state);
  const needs = (change: Partial<TrainingShape>): number => 4 * trainingPrograms({ ...shape, ...change }).end;
  for (let size = Math.floor(batchSize / 2); size >= 1; size = Math.floor(size / 2)) {
    const steps = Math.ceil(batchSize / size) * microBatches;
    const bytes = needs({ batchSize: size, microBatches: steps });
    if (bytes <= limit)
      return `try ${optionValues({ batchSize: size, gradientAccumulationSteps: steps })}, which needs ${formatMemory(bytes)}`;
  }
  for (let T = Math.floor(config.blockSize / 2); T >= 8; T = Math.floor(T / 2)) {
    const bytes = needs({ config: { ...config, blockSize: T }, batchSize: 1 });
    if (bytes <= limit)
      return `try ${optionValues({ batchSize: 1, blockSize: T })}, which needs ${formatMemory(bytes)}`;
  }
  return useLess(config, state);
}

/** @param state bytes that no shorter context and no smaller batch saves */
function useLess({ lora }: ModelConfig, state: number): string {
  const what =
    lora === undefined
      ? `a smaller model, or adapters of a trained one with ${optionName('loraRank')}`
      : `a smaller base model or a lower ${optionName('loraRank')}`;
  return `use ${what}: parameters, gradients and the optimizer's state alone take ${formatMemory(state)}`;
}
