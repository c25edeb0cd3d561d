/**
 * The time of a training step on several hosts, by the alpha–beta model: a message of n bytes takes alpha + n / beta
 * (Hockney, "The communication challenge for MPP", 1994). Training moves the gradients once to their owners (a reduce-scatter)
 * and the updated parameters once back to all (an all-gather).
 */

export interface NetworkModel {
  /** Alpha: seconds for an empty message. */
  readonly latency: number;
  /** Beta: bytes per second. */
  readonly bandwidth: number;
  /** Seconds of CPU time per message when many are in flight; default: `MESSAGE_OVERHEAD`. */
  readonly overhead?: number;
}

/** In seconds; bursts of small messages over TCP take 10 to 30 µs each. */
export const MESSAGE_OVERHEAD = 20e-6;

/** Networks by name, with the bandwidth that TCP reaches in practice, and typical latencies. */
export const networks = {
  '1gbit': { latency: 100e-6, bandwidth: 0.94 * 125e6 },
  '10gbit': { latency: 40e-6, bandwidth: 0.94 * 1.25e9 },
  '100gbit': { latency: 10e-6, bandwidth: 0.9 * 12.5e9 },
} as const satisfies Readonly<Record<string, NetworkModel>>;

export interface NetworkFit extends NetworkModel {
  /** Largest deviation of the fit from a measured time, as a fraction of that time. */
  readonly worst: number;
}

/**
 * Alpha and beta by least squares of the relative errors, so that times of microseconds count as much as those of seconds.
 * Messages of one protocol lie on a line; libraries change the protocol with the size, which `worst` shows.
 */
export function fitNetwork(
  times: readonly { readonly bytes: number; readonly seconds: number }[],
): NetworkFit {
  // Minimizes the sum of ((a + b·n) / t − 1)² over a and b: two linear equations.
  let [ww, wn, nn, w, n] = [0, 0, 0, 0, 0];
  for (const { bytes, seconds } of times) {
    const [x, y] = [1 / seconds, bytes / seconds];
    ww += x * x;
    wn += x * y;
    nn += y * y;
    w += x;
    n += y;
  }
  const determinant = ww * nn - wn * wn;
  const latency = Math.max(0, (w * nn - n * wn) / determinant);
  const perByte = latency === 0 ? n / nn : (ww * n - wn * w) / determinant;
  const fit = { latency, bandwidth: 1 / perByte };
  const errors = times.map(({ bytes, seconds }) => Math.abs(messageSeconds(fit, bytes) / seconds - 1));
  return { ...fit, worst: Math.max(...errors) };
}

export const messageSeconds = ({ latency, bandwidth }: NetworkModel, bytes: number): number =>
  latency + bytes / bandwidth;

/** The costs of a training step. */
export interface StepCosts {
  /** On one host, in seconds. */
  readonly seconds: number;
  /** Number of micro-batches, which are distributed over the ranks undivided. */
  readonly microBatches: number;
  /** Size of the parameters. */
  readonly bytes: number;
  /** Size of the gradients as they are sent; default: that of the parameters. */
  readonly gradientBytes?: number;
  /** Number of messages in which a rank sends one sum of gradients to each other rank. */
  readonly buckets: number;
  /** Most partial sums that a rank sends: one if micro-batches and hosts are powers of two, a few otherwise. */
  readonly sums: number;
  /** Steps between synchronizations of replicas; undefined: all ranks share every step. */
  readonly syncEvery?: number | undefined;
}

export interface StepForecast {
  readonly hosts: number;
  /** Time of the whole step. */
  readonly seconds: number;
  readonly computeSeconds: number;
  /** Communication time overlapped with the backward pass. */
  readonly hiddenSeconds: number;
  /** Communication time that is not overlapped with computation. */
  readonly exposedSeconds: number;
  /** Speed relative to one host. */
  readonly speedup: number;
  /** Speed-up per host. */
  readonly efficiency: number;
}

/** Share of a step spent in the backward pass: two of every three GEMMs. */
const BACKWARD = 2 / 3;

/**
 * Forecasts a step on `hosts` equal hosts with one rank each. Ranks share both the micro-batches and the update. A
 * synchronization of replicas does not overlap with computation; its time is spread over the steps between two of them.
 */
export function forecastStep(costs: StepCosts, hosts: number, network: NetworkModel): StepForecast {
  const { microBatches, buckets, bytes, gradientBytes = bytes, sums, syncEvery } = costs;
  const { overhead = MESSAGE_OVERHEAD } = network;
  const perMicroBatch = costs.seconds / microBatches;
  const computeSeconds = Math.ceil(microBatches / hosts) * perMicroBatch; // of the rank with the most
  const others = hosts - 1;
  // A rank sends every other rank its part of the sums, and receives as much at the same time.
  const phase = (times: number, size: number): number =>
    others === 0
      ? 0
      : network.latency + times * others * (buckets * overhead + size / hosts / network.bandwidth);
  const gradients = phase(sums, gradientBytes);
  // Buckets are sent as the last backward pass of a sum completes them; only the last one cannot be overlapped.
  const hiddenSeconds =
    syncEvery === undefined ? Math.min(gradients * (1 - 1 / buckets), sums * BACKWARD * perMicroBatch) : 0;
  const exposedSeconds =
    syncEvery === undefined ? gradients - hiddenSeconds + phase(1, bytes) : (2 * phase(1, bytes)) / syncEvery;
  const seconds = computeSeconds + exposedSeconds;
  const speedup = costs.seconds / seconds;
  return {
    hosts,
    seconds,
    computeSeconds,
    hiddenSeconds,
    exposedSeconds,
    speedup,
    efficiency: speedup / hosts,
  };
}
