/** The compute budget of a run on a GPU, rounded so that GPUs of one kind get the same model. docs/recipe.md describes it. */
import type { Device } from '../engine/device.ts';
import { gemmAtWidths, launchSeconds } from '../engine/gpu-rates.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterTable } from '../model/parameters.ts';
import { isLinearWeight } from '../model/parameter.ts';
import { widths, type ComputeFor } from './choose-model.ts';
import type { OptimizerName } from './optimizer.ts';

/** Fraction of the GEMM rate that training reaches: attention and element-wise kernels take as long as GEMM does. */
const SHARE = 0.5;
/** Kernels of a forward and backward pass: per layer, and outside the layers. */
const [KERNELS_OF_LAYER, KERNELS_OF_REST] = [39, 10];
/** Kernels of Muon's update of a matrix (muon.ts). */
const KERNELS_OF_MATRIX = 27;

/** Kernel launches in a step. */
export function kernelsOfStep(config: ModelConfig, optimizer: OptimizerName): number {
  const matrices = optimizer === 'muon' ? parameterTable(config).filter(isLinearWeight).length : 0;
  return KERNELS_OF_REST + KERNELS_OF_LAYER * config.nLayer + KERNELS_OF_MATRIX * matrices;
}

/** The nearest power of four: measurements on GPUs of a kind differ by less, except near the border of two classes. */
const classOf = (measured: number): number => 4 ** Math.round(Math.log2(measured) / 2);

/**
 * Measures GEMM for each width of a model, and a kernel launch, in less than a second. Overwrites the device's memory.
 *
 * @param ranks that share each step, each with a GPU like this one, which launches all its kernels
 */
export async function gpuCompute(device: Device, seconds: number, ranks = 1): Promise<ComputeFor> {
  const rates = await gemmAtWidths(device, widths);
  const perKernel = classOf(await launchSeconds(device));
  device.clear();
  return (config, optimizer) => {
    const width = widths.findLast((each) => each <= config.nEmbd) ?? widths[0];
    const flopsPerSecond = ranks * SHARE * classOf(rates.get(width)!);
    return {
      flops: flopsPerSecond * seconds,
      flopsPerStep: flopsPerSecond * perKernel * kernelsOfStep(config, optimizer),
    };
  };
}
