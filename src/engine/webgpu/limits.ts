import type { GpuLimits } from './gpu.ts';

/** The largest arena in bytes: one storage buffer, bound as a whole. */
export const bufferLimit = ({ maxBufferSize, maxStorageBufferBindingSize }: GpuLimits): number =>
  Math.min(maxBufferSize, maxStorageBufferBindingSize);
