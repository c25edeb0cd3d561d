import { describe, expect, it } from 'vitest';
import { forecastHosts, hostCounts } from '../../src/forecast/hosts.ts';
import { MESSAGE_OVERHEAD, networks } from '../../src/forecast/network.ts';
import { countTrained } from '../../src/model/parameters.ts';
import { modelConfig, resolveOptions } from '../../src/train/settings.ts';
import { failure } from '../fixtures/failure.ts';

const settings = resolveOptions({ corpus: [], preset: 'nano', batchSize: 6, gradientAccumulationSteps: 2 });
const run = {
  settings,
  config: modelConfig(settings, 100),
  steps: 10,
  here: { flopsPerSecond: 1, seconds: 12, stepSeconds: 1, basis: 'this model' as const },
};

describe('a run on several hosts', () => {
  it('is forecast for powers of two and for the number itself', () => {
    expect(hostCounts(1)).toEqual([1]);
    expect(hostCounts(8)).toEqual([1, 2, 4, 8]);
    expect(hostCounts(12)).toEqual([1, 2, 4, 8, 12]);
  });

  it('splits a batch as gpt train does', () => {
    const computing = (given: object) =>
      forecastHosts(run, given, 4, networks['10gbit']).map(({ computeSeconds }) => computeSeconds);
    // 12 sequences in 2 micro-batches; 4 hosts split them into 4.
    expect(computing({})).toEqual([1.2, 0.6, 0.3].map((each) => expect.closeTo(each, 10)));
    expect(() => computing({ gradientAccumulationSteps: 2 })).toThrow(
      failure('conflicting-options', '2', '4'),
    );
  });

  it('sends the parameters twice per synchronization of replicas', () => {
    const exposed = (syncEvery: number, emaDecay = 0) =>
      forecastHosts({ ...run, settings: { ...settings, syncEvery, emaDecay } }, {}, 2, networks['1gbit'])[1]
        .exposedSeconds;
    const bytes = 4 * countTrained(run.config);
    const { latency, bandwidth } = networks['1gbit'];
    expect(exposed(1)).toBeCloseTo(2 * (latency + MESSAGE_OVERHEAD + bytes / 2 / bandwidth), 12);
    expect(exposed(32)).toBeCloseTo(exposed(1) / 32, 12);
    const averages = bytes / bandwidth + 2 * MESSAGE_OVERHEAD; // half of their bytes, twice
    expect(exposed(1, 0.9)).toBeCloseTo(exposed(1) + averages, 12);
  });

  it('is refused for more hosts than a step has sequences, naming both', () => {
    expect(() => forecastHosts(run, {}, 13, networks['10gbit'])).toThrow(
      failure('conflicting-options', '12', '13'),
    );
  });
});
