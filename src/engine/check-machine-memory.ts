import { formatMemory } from '../format-memory.ts';
import { machineMemory } from '../machine-memory.ts';
import { EngineMemoryError } from './engine-memory-error.ts';

/** Checks against the physical memory before allocating, since the system may overcommit and kill the process later. */
export function checkMachineMemory(bytes: number): void {
  const limit = machineMemory();
  if (bytes > limit)
    throw new EngineMemoryError(
      `this needs ${formatMemory(bytes)} of memory; this computer has ${formatMemory(limit)}`,
      { hint: 'use a smaller model' },
    );
}
