/** Measures the rates of a GPU with work that grows until it takes long enough to time: GPUs differ by factors of thousands. */
import { costOf } from './cost.ts';
import type { Device } from './device.ts';
import { EngineMemoryError } from './engine-memory-error.ts';
import type { Instruction } from './instruction.ts';
import { timedProduct } from './timed-product.ts';

/** The rates that bound the time of programs. */
export interface GpuRates {
  readonly name: string;
  /** In FLOP/s. */
  readonly gemmFlops: number;
  /** In bytes/s. */
  readonly readBandwidth: number;
  /** Minimum time of a kernel, in seconds. */
  readonly launchSeconds: number;
}

/** Seconds for GEMM, and for reading memory. */
const MEASURED_SECONDS = 0.25;

/** As `gpt doctor` measures them, in less time. Overwrites the device's memory, and clears it. */
export async function measureRates(device: Device): Promise<GpuRates> {
  const gemmFlops = await growingGemm(device, MEASURED_SECONDS);
  device.clear();
  const readBandwidth = await growingRead(device, MEASURED_SECONDS);
  device.clear();
  const launch = await launchSeconds(device);
  device.clear();
  return { name: device.name, gemmFlops, readBandwidth, launchSeconds: launch };
}

/**
 * Seconds of a program: each kernel is bound by its floating-point operations, its memory traffic or its launch (a roofline).
 */
export const predictedSeconds = (
  { gemmFlops, readBandwidth, launchSeconds: launch }: GpuRates,
  program: readonly Instruction[],
): number =>
  program
    .map(costOf)
    .reduce((sum, { flops, bytes }) => sum + Math.max(launch, flops / gemmFlops, bytes / readBandwidth), 0);

/** Seconds next to which the submission latency of the GPU is negligible. */
const LONG_ENOUGH = 0.02;

/** The shortest time of one run in seconds, from enough submissions to be timed. */
async function shortestRun(
  device: Device,
  work: Instruction | readonly Instruction[],
  seconds: number,
): Promise<number> {
  const program = device.load([work].flat());
  const time = async (runs: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < runs; i++) program.submit();
    await device.finish();
    return (performance.now() - start) / 1000 / runs;
  };
  await time(1); // compiles the shader
  let shortest = await time(1);
  if (shortest > seconds) return shortest;
  const until = performance.now() + 1000 * seconds;
  while (performance.now() < until)
    shortest = Math.min(shortest, await time(Math.max(1, Math.ceil(LONG_ENOUGH / shortest))));
  return shortest;
}

/**
 * The rate at each size in units per second, until a run takes long enough or the next size exceeds the GPU's memory.
 *
 * @throws EngineMemoryError if the smallest size exceeds it
 */
async function ratesOf(
  sizes: readonly number[],
  seconds: number,
  measure: (size: number, seconds: number) => Promise<{ readonly time: number; readonly work: number }>,
): Promise<readonly number[]> {
  const rates: number[] = [];
  for (const size of sizes) {
    try {
      const { time, work } = await measure(size, seconds / sizes.length);
      rates.push(work / time);
      if (time > LONG_ENOUGH) break;
    } catch (error) {
      if (!(error instanceof EngineMemoryError) || rates.length === 0) throw error;
      break;
    }
  }
  return rates;
}

/** GEMM rate in FLOP/s, of square matrices. Overwrites the device's memory. */
export async function growingGemm(device: Device, seconds: number): Promise<number> {
  const rates = await ratesOf([64, 128, 256, 512, 1024, 2048, 4096], seconds, async (n, part) => ({
    time: await shortestRun(device, timedProduct(device, n, n, n, 0), part),
    work: 2 * n ** 3,
  }));
  return Math.max(...rates);
}

/** Rows of a GEMM in training: the tokens of a step, of which a small model has two or three thousand. */
const TOKENS = 2048;
/** Seconds for one width, and for a kernel launch. */
const SHORT = 0.02;

/**
 * GEMM rate in FLOP/s of the products in models of these widths, [TOKENS,C] times [C,4C]. Where one takes long enough, wider ones
 * are assumed to have its rate. Overwrites the device's memory.
 *
 * @param widths ascending
 */
export async function gemmAtWidths(
  device: Device,
  widths: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const rates = new Map<number, number>();
  let known: number | undefined;
  for (const C of widths) {
    let rate = known;
    if (rate === undefined) {
      const seconds = await shortestRun(device, timedProduct(device, TOKENS, 4 * C, C, 0), SHORT);
      rate = (2 * TOKENS * 4 * C * C) / seconds;
      if (seconds > LONG_ENOUGH) known = rate;
    }
    rates.set(C, rate);
  }
  return rates;
}

/** Seconds from one small kernel to the next in a program: the minimum time of a kernel. Overwrites the device's memory. */
export async function launchSeconds(device: Device): Promise<number> {
  const count = 256;
  const n = 64;
  device.reserve(n);
  const part = { offset: 0, length: n };
  const add = { kernel: 'add', label: 'measure', args: { a: part, b: part, y: part, n } } as const;
  return (
    (await shortestRun(
      device,
      Array.from({ length: count }, () => add),
      SHORT,
    )) / count
  );
}

/**
 * Read bandwidth in bytes/s, from a GEMV over the largest of matrices of 1 to 268 MB: smaller ones are faster where they fit in
 * L2. Overwrites the device's memory.
 */
export async function growingRead(device: Device, seconds: number): Promise<number> {
  const rates = await ratesOf([256, 4096, 16_384, 65_536], seconds, async (rows, part) => ({
    time: await shortestRun(device, timedProduct(device, 1, rows, 1024, 1), part),
    work: 4 * 1024 * rows,
  }));
  return rates.at(-1)!;
}
