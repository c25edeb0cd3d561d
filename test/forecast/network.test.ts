import { assert, double, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitNetwork, forecastStep, messageSeconds, networks } from '../../src/forecast/network.ts';

const sizes = [1, 1000, 60_000, 1e6, 16e6];

describe('the fit of latency and bandwidth', () => {
  it('finds them again, however far apart latency and transfer time are', () => {
    assert(
      property(
        double({ min: 1e-6, max: 1e-2, noNaN: true }),
        double({ min: 1e6, max: 1e11, noNaN: true }),
        (latency, bandwidth) => {
          const model = { latency, bandwidth };
          const fit = fitNetwork(sizes.map((bytes) => ({ bytes, seconds: messageSeconds(model, bytes) })));
          expect(fit.latency / latency).toBeCloseTo(1, 5);
          if (messageSeconds(model, 16e6) > 1.01 * latency)
            expect(fit.bandwidth / bandwidth).toBeCloseTo(1, 3);
          expect(fit.worst).toBeLessThan(1e-6);
        },
      ),
    );
  });

  it('weighs relative errors, so that a slow long message does not hide the latency', () => {
    const model = { latency: 50e-6, bandwidth: 1e9 };
    const times = sizes.map((bytes) => ({
      bytes,
      seconds: messageSeconds(model, bytes) * (bytes === 16e6 ? 1.5 : 1),
    }));
    const fit = fitNetwork(times);
    expect(fit.latency).toBeGreaterThan(40e-6);
    expect(fit.latency).toBeLessThan(60e-6);
    expect(fit.worst).toBeGreaterThan(0.1);
  });

  it('gives no negative latency', () => {
    const fit = fitNetwork([
      { bytes: 1000, seconds: 1e-6 },
      { bytes: 2000, seconds: 3e-6 },
    ]);
    expect(fit.latency).toBe(0);
    expect(fit.bandwidth).toBeGreaterThan(0);
  });
});

describe('the forecast of a step', () => {
  const costs = {
    seconds: 8,
    microBatches: 16,
    bytes: 400e6,
    buckets: 100,
    sums: 1,
  };
  const none = { latency: 0, bandwidth: Infinity, overhead: 0 };

  it('on one host is the step as it is', () => {
    expect(forecastStep(costs, 1, networks['1gbit'])).toMatchObject({
      seconds: 8,
      exposedSeconds: 0,
      speedup: 1,
      efficiency: 1,
    });
  });

  it('is perfect on a network that takes no time, if micro-batches divide', () => {
    for (const hosts of [2, 4, 16]) expect(forecastStep(costs, hosts, none).efficiency).toBeCloseTo(1, 10);
    // Six hosts: one of them has three of the 16 micro-batches.
    expect(forecastStep(costs, 6, none).seconds).toBeCloseTo(3 * 0.5, 10);
  });

  it('moves gradients to their owners and parameters back, by hand for two hosts', () => {
    const network = { latency: 1e-3, bandwidth: 100e6, overhead: 1e-5 };
    // 200 MB each way: 2 s for gradients, of which a backward pass of 1/3 s hides some, and 2 s for parameters.
    const { exposedSeconds, hiddenSeconds, seconds } = forecastStep(costs, 2, network);
    expect(hiddenSeconds).toBeCloseTo(1 / 3, 6);
    // Two latencies, and the overhead of 100 messages for each.
    expect(exposedSeconds + hiddenSeconds).toBeCloseTo(4 + 2e-3 + 2e-3, 10);
    expect(seconds).toBeCloseTo(4 + exposedSeconds, 10);
  });

  it('never gets faster on a slower network, nor more than once as fast per host', () => {
    const named = Object.values(networks);
    for (const hosts of [2, 3, 8, 100, 1000]) {
      const forecasts = named.map((network) => forecastStep(costs, hosts, network));
      expect(forecasts.map(({ seconds }) => seconds)).toEqual(
        forecasts.map(({ seconds }) => seconds).toSorted((a, b) => b - a),
      );
      for (const { efficiency } of forecasts) expect(efficiency).toBeLessThanOrEqual(1);
    }
  });

  it('sends gradients once for every partial sum, and parameters once', () => {
    const network = { latency: 0, bandwidth: 1e9 };
    const bytes = (sums: number): number => {
      const { exposedSeconds, hiddenSeconds } = forecastStep({ ...costs, buckets: 1, sums }, 4, network);
      return 1e9 * (exposedSeconds + hiddenSeconds);
    };
    expect(bytes(1) / ((2 * 3 * 400e6) / 4)).toBeCloseTo(1, 2);
    expect(bytes(2) / ((3 * 3 * 400e6) / 4)).toBeCloseTo(1, 2);
  });

  it('sends half the gradients in bfloat16, and parameters in float32', () => {
    const network = { latency: 0, bandwidth: 1e9, overhead: 0 };
    const half = { ...costs, buckets: 1, gradientBytes: 200e6 };
    const { exposedSeconds, hiddenSeconds } = forecastStep(half, 4, network);
    expect(exposedSeconds + hiddenSeconds).toBeCloseTo((3 / 4) * (0.2 + 0.4), 10);
  });
});
