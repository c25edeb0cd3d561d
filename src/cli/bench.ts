/** `gpt bench`: training and sampling speed on this computer, for models of well-known shapes. */
import type { Command } from 'commander';
import { chooseBackend, type BackendOptions } from '../engine/backend.ts';
import type { Device } from '../engine/device.ts';
import { matmulPrecisions, type MatmulPrecision } from '../engine/matmul-precision.ts';
import { benchModels, startSampling, type BenchModelName } from '../measure/models.ts';
import { medianRate } from '../measure/rate.ts';
import { countParameters } from '../model/parameters.ts';
import { checkMatmulPrecision } from '../train/matmul-precision.ts';
import { startTraining } from '../train/timed-training.ts';
import { formatBytes, formatCount, formatFlops, formatNumber, formatStep } from '../format.ts';
import { whileDoing } from './activity.ts';
import { addExamples } from './help.ts';
import { blasOption, deviceOption, threadsOption, warnOfSlowEngine } from './model-options.ts';
import { argument, option } from './options.ts';
import { choice, number } from '../values.ts';
import { printJson, snakeCased } from './json-output.ts';
import { notice, print, stdoutColors } from './terminal.ts';

const names = Object.keys(benchModels) as BenchModelName[];

interface Flags {
  readonly seconds: number;
  readonly threads?: number;
  readonly matmulPrecision?: MatmulPrecision;
  readonly json?: true;
}

interface Result {
  readonly model: BenchModelName;
  readonly parameters: number;
  readonly batchSize: number;
  readonly blockSize: number;
  readonly memoryBytes: number;
  readonly trainTokensPerSecond: number;
  readonly stepSeconds: number;
  /** In the model's GEMMs, while training. */
  readonly flopsPerSecond: number;
  readonly sampleTokensPerSecond: number;
}

export function register(command: Command): void {
  command
    .addArgument(argument('[model...]', `${names.join(', ')}; default: all`, choice(names)))
    .addOption(option('--seconds <n>', 'seconds per measurement', number({ min: 0.1, max: 600 }), 2))
    .addOption(threadsOption())
    .addOption(deviceOption(['cpu', 'webgpu']))
    .addOption(blasOption())
    .addOption(
      option(
        '--matmul-precision <type>',
        'GEMM operands on a GPU in training: float32, float16; default: float32',
        choice(matmulPrecisions),
      ),
    )
    .option('--json', 'print the results as JSON')
    .action(bench);
  addExamples(command, [
    ['How fast is this computer?', 'gpt bench'],
    ['What does a second core gain?', 'gpt bench nano --threads 1; gpt bench nano --threads 2'],
  ]);
}

async function bench(
  models: readonly BenchModelName[],
  { seconds, threads, matmulPrecision, json }: Flags,
): Promise<void> {
  checkMatmulPrecision({ matmulPrecision });
  const results: Result[] = [];
  const started = { ...(threads !== undefined && { threads }), matmulPrecision };
  const { backend, rejected } = await chooseBackend(started);
  notice(`${backend.name}; random tokens, medians.`);
  warnOfSlowEngine(backend, rejected);
  await backend.close();
  if (json === undefined) await print(`${stdoutColors.bold(row(HEAD))}\n`);
  for (const name of models.length > 0 ? models : names) {
    const result = await whileDoing(`training ${name}`, ({ update }) =>
      measure(name, seconds, started, () => update(`sampling from ${name}`)),
    );
    results.push(result);
    if (json === undefined) await print(`${row(cells(result))}\n`);
  }
  if (json) await printJson(snakeCased(results), 2);
}

async function measure(
  name: BenchModelName,
  seconds: number,
  options: BackendOptions,
  sampling: () => void,
): Promise<Result> {
  const model = benchModels[name];
  const training = await withBackend(options, async (backend) => {
    const timed = startTraining(backend, model);
    return { ...timed, rate: await medianRate(timed.run, seconds) };
  });
  sampling();
  const sampleRate = await withBackend({ ...options, matmulPrecision: undefined }, (backend) => {
    const timed = startSampling(backend, model);
    return medianRate(timed.run, seconds, Math.min(32, model.config.blockSize - 1));
  });
  return {
    model: name,
    parameters: countParameters(model.config),
    batchSize: model.batchSize,
    blockSize: model.config.blockSize,
    memoryBytes: training.memoryBytes,
    trainTokensPerSecond: training.rate * training.tokensPerStep,
    stepSeconds: 1 / training.rate,
    flopsPerSecond: training.rate * training.flopsPerStep,
    sampleTokensPerSecond: sampleRate,
  };
}

/** Each measurement has its own backend, whose memory is freed when it closes. */
async function withBackend<T>(options: BackendOptions, use: (device: Device) => Promise<T>): Promise<T> {
  const { backend } = await chooseBackend(options);
  try {
    return await use(backend);
  } finally {
    await backend.close();
  }
}

const HEAD = ['model', 'params', 'batch', 'memory', 'training', 'step', 'GEMM', 'sampling'];
/** In columns; 80 in all, with the gaps. */
const WIDTHS = [5, 6, 5, 7, 12, 7, 11, 12];

const row = (texts: readonly string[]): string =>
  texts.map((text, i) => (i === 0 ? text.padEnd(WIDTHS[0]) : text.padStart(WIDTHS[i]))).join('  ');

/** With decimals only below 10, where an integer would be too coarse. */
const formatTokens = (rate: number): string => `${formatNumber(rate, rate < 9.95 ? 2 : 0)} tok/s`;

const cells = (result: Result): string[] => [
  result.model,
  formatCount(result.parameters),
  `${result.batchSize}×${result.blockSize}`,
  formatBytes(result.memoryBytes),
  formatTokens(result.trainTokensPerSecond),
  formatStep(result.stepSeconds),
  formatFlops(result.flopsPerSecond),
  formatTokens(result.sampleTokensPerSecond),
];
