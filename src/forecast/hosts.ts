/** Forecasts the speed-up of a run on several hosts like this one. */
import { countTrained } from '../model/parameters.ts';
import { subtreesOf } from '../train/ordered-sum.ts';
import { BUCKET } from '../train/ranks/division.ts';
import { gradientFormats } from '../train/ranks/gradient-format.ts';
import { splitBatch } from '../train/ranks/split-batch.ts';
import type { TrainModelOptions } from '../train/settings.ts';
import { forecastStep, type NetworkModel, type StepForecast } from './network.ts';
import type { RunForecast } from './run-forecast.ts';

/**
 * Forecasts a step of the run on 1, 2, 4, … and `most` hosts, each with one rank.
 *
 * @param given options of the run as they were given
 * @param most number of hosts for which the run is forecast
 */
export function forecastHosts(
  { settings, config, steps, here }: Pick<RunForecast, 'settings' | 'config' | 'steps' | 'here'>,
  given: Pick<TrainModelOptions, 'gradientAccumulationSteps'>,
  most: number,
  network: NetworkModel,
): StepForecast[] {
  const trained = countTrained(config);
  // A synchronization also takes the mean of the replicas' averages.
  const isAveraged = settings.syncEvery !== undefined && settings.emaDecay > 0;
  const bytes = 4 * trained * (isAveraged ? 2 : 1);
  return hostCounts(most).map((hosts) => {
    const { gradientAccumulationSteps: microBatches } = splitBatch(settings, given, hosts);
    const sums = Array.from({ length: hosts }, (_, rank) => subtreesOf(rank, microBatches, hosts).length);
    const costs = {
      seconds: here.seconds / steps,
      microBatches,
      bytes,
      gradientBytes: trained * gradientFormats[settings.reduceDtype].bytesPerElement,
      buckets: Math.ceil(bytes / (4 * BUCKET)),
      sums: Math.max(...sums),
      syncEvery: settings.syncEvery,
    };
    return forecastStep(costs, hosts, network);
  });
}

/** The powers of two below a number, and the number itself. */
export function hostCounts(most: number): number[] {
  const counts: number[] = [];
  for (let hosts = 1; hosts < most; hosts *= 2) counts.push(hosts);
  return [...counts, most];
}
