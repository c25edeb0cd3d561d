/** A step on the GPU, predicted from its rates: as `gpt doctor` measures them, in less time. */
import { costOf } from '../engine/cost.ts';
import type { Device } from '../engine/device.ts';
import { growingGemm, growingRead, launchSeconds } from '../engine/gpu-rates.ts';
import type { TrainingPrograms } from '../train/programs.ts';

export interface GpuRates {
  readonly name: string;
  /** In FLOP/s. */
  readonly gemmFlops: number;
  /** In bytes/s. */
  readonly readBandwidth: number;
  /** What each kernel takes at least, in seconds. */
  readonly launchSeconds: number;
}

/** Seconds for GEMM, and for reading memory. */
const MEASURED_SECONDS = 0.25;

/** Overwrites the device's memory, and clears it. */
export async function measureGpu(device: Device): Promise<GpuRates> {
  const gemmFlops = await growingGemm(device, MEASURED_SECONDS);
  device.clear();
  const readBandwidth = await growingRead(device, MEASURED_SECONDS);
  device.clear();
  const launch = await launchSeconds(device);
  device.clear();
  return { name: device.name, gemmFlops, readBandwidth, launchSeconds: launch };
}

/** Seconds of a step: each kernel is bound by its products, by the memory that it touches or by its start (a roofline). */
export function stepSeconds(
  { gemmFlops, readBandwidth, launchSeconds: launch }: GpuRates,
  { forwardBackward, gradientNorm, update }: TrainingPrograms,
  microBatches: number,
): number {
  const secondsOf = ({ instructions }: TrainingPrograms['update']): number =>
    instructions
      .map(costOf)
      .reduce((sum, { flops, bytes }) => sum + Math.max(launch, flops / gemmFlops, bytes / readBandwidth), 0);
  return microBatches * secondsOf(forwardBackward) + secondsOf(gradientNorm) + secondsOf(update);
}
