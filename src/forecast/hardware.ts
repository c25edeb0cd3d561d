/** Well-known accelerators, and the time and cost of training on them. */

export interface Accelerator {
  readonly name: string;
  /** Peak FLOP/s of dense 16-bit GEMM with 32-bit accumulation, from the data sheet. */
  readonly peakFlops: number;
  /** Model FLOPs utilization (MFU): the share of the peak that training reaches. */
  readonly utilization: number;
  /** US dollars per device and hour. */
  readonly dollarsPerHour: number;
  readonly memoryBytes: number;
}

/**
 * Peaks and memory are from NVIDIA's and Google's data sheets. Utilization follows published runs: PaLM reports 46% on TPU
 * v4, MPT and Llama 3 about 40% on A100 and H100. The V100's 28 TFLOP/s and $1.50 are those of the well-known estimate for
 * GPT-3, 355 years and $4.6 million (Li 2020). Other prices are rounded on-demand rates of March 2026; they vary by a
 * factor of two between regions and over time, so flags can override them.
 */
export const accelerators = {
  v100: { name: 'V100', peakFlops: 112e12, utilization: 0.25, dollarsPerHour: 1.5, memoryBytes: 32e9 },
  a100: { name: 'A100', peakFlops: 312e12, utilization: 0.4, dollarsPerHour: 1.4, memoryBytes: 80e9 },
  h100: { name: 'H100', peakFlops: 989e12, utilization: 0.4, dollarsPerHour: 2.7, memoryBytes: 80e9 },
  h200: { name: 'H200', peakFlops: 989e12, utilization: 0.4, dollarsPerHour: 3.6, memoryBytes: 141e9 },
  b200: { name: 'B200', peakFlops: 2250e12, utilization: 0.35, dollarsPerHour: 6, memoryBytes: 180e9 },
  rtx4090: {
    name: 'RTX 4090',
    peakFlops: 165e12,
    utilization: 0.35,
    dollarsPerHour: 0.35,
    memoryBytes: 24e9,
  },
  'tpu-v4': {
    name: 'TPU v4',
    peakFlops: 275e12,
    utilization: 0.45,
    dollarsPerHour: 3.2,
    memoryBytes: 32e9,
  },
} as const satisfies Record<string, Accelerator>;
export type AcceleratorName = keyof typeof accelerators;
export const acceleratorNames = Object.keys(accelerators) as AcceleratorName[];

export interface AcceleratorCost {
  /** With `count` devices in parallel. */
  readonly seconds: number;
  readonly dollars: number;
  /** Number of devices whose memory holds the training state. */
  readonly leastDevices: number;
}

/** Assumes perfect scaling: twice the devices take half the time, at the same price. */
export function costOn(
  device: Accelerator,
  { flops, stateBytes, count = 1 }: { flops: number; stateBytes: number; count?: number },
): AcceleratorCost {
  const deviceSeconds = flops / (device.peakFlops * device.utilization);
  return {
    seconds: deviceSeconds / count,
    dollars: (deviceSeconds / 3600) * device.dollarsPerHour,
    leastDevices: Math.max(1, Math.ceil(stateBytes / device.memoryBytes)),
  };
}
