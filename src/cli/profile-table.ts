/** The table of `train --profile`: time by kernel. */
import type { KernelProfile } from '../engine/profile.ts';
import type { TrainProfile } from '../train/session/step-profile.ts';
import { formatFlops, formatPercent, formatRate } from '../format.ts';
import { formatColumns } from './columns.ts';

export function formatProfile({ steps, tokensPerStep, seconds, kernels }: TrainProfile): string {
  const inKernels = kernels.reduce((sum, kernel) => sum + kernel.seconds, 0);
  const waited = kernels.reduce((sum, kernel) => sum + kernel.waited, 0);
  const flops = kernels.reduce((sum, kernel) => sum + kernel.flops, 0);
  const perStep = (value: number): string => (1000 * value).toFixed(3);
  const rows = kernels.map((kernel) => [
    kernel.name,
    formatPercent(kernel.seconds / seconds),
    perStep(kernel.seconds / steps),
    String(Math.round(kernel.runs / steps)),
    rateOf(kernel),
    formatPercent(kernel.waited / kernel.seconds),
  ]);
  const outside = seconds - inKernels;
  rows.push(['outside the kernels', formatPercent(outside / seconds), perStep(outside / steps), '', '', '']);
  return [
    formatColumns(['kernel', 'share', 'ms a step', 'runs', 'rate', 'waiting'], rows),
    '',
    `  ${perStep(seconds / steps)} ms per step over ${steps} steps, ${formatRate((steps * tokensPerStep) / seconds, 'tok')}, ${(flops / seconds / 1e9).toFixed(0)} GFLOP/s;`,
    `  threads waited for each other at barriers ${formatPercent(waited / seconds)} of the time`,
  ].join('\n');
}

/** FLOP/s for GEMM, bytes/s for everything else. */
export const rateOf = ({ flops, bytes, seconds }: KernelProfile): string =>
  flops > 0 ? formatFlops(flops / seconds) : `${(bytes / seconds / 1e9).toFixed(1)} GB/s`;
