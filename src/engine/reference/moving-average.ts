/** The moving average of the parameters. Formula: train/weight-average.ts. */
import { HYPER } from '../signatures.ts';
import type { ReferenceArguments } from './view.ts';

export function movingAverage({ x, average, hyper, n }: ReferenceArguments<'movingAverage'>): void {
  if (hyper[HYPER.stopped] !== 0) return;
  const rate = hyper[HYPER.averageRate];
  for (let i = 0; i < n; i++) average[i] += rate * (x[i] - average[i]);
}
