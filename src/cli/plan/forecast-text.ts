/** A forecast as tables. */
import {
  formatBytes,
  formatCount,
  formatDollars,
  formatDuration,
  formatFlops,
  formatNumber,
  formatPercent,
  formatStep,
} from '../../format.ts';
import { namesTokenFile } from '../../data/token-file.ts';
import { formatColumns } from '../columns.ts';
import type { Accelerator, AcceleratorCost } from '../../forecast/hardware.ts';
import type { PlannedText, RunForecast } from '../../forecast/run-forecast.ts';
import { gainsOverChar } from '../../forecast/tokenizer-sweep.ts';
import { describeCorpus } from '../corpus-summary.ts';
import { gpuFacts } from '../doctor-gpu.ts';
import { factTable } from '../fact-table.ts';
import { describeModel, describeTraining } from '../run-summary.ts';
import { stdoutColors } from '../terminal.ts';
import { gainOf } from '../tokenizer-gains.ts';
import { wrapMessage } from '../wrap-message.ts';
import { describeUse } from '../vocabulary-summary.ts';

/** A device with what the run costs on it. */
export type DeviceRow = Accelerator & AcceleratorCost;

/** @param count of devices that share the run */
export function forecastText(forecast: RunForecast, devices: readonly DeviceRow[], count: number): string {
  const { bold, dim } = stdoutColors;
  const heading = (text: string): string => `\n${bold(text)}\n`;
  const aboutText: Fact[] =
    forecast.text === undefined
      ? [['vocabulary', vocabularyOf(forecast)]]
      : textFacts(forecast.text, forecast.settings);
  return [
    `${factTable([...aboutText, ...runFacts(forecast)], process.stdout)}\n`,
    heading('Parameters'),
    `${parameterColumns(forecast)}\n`,
    heading(count === 1 ? 'On one device' : `On ${formatNumber(count)} devices`),
    `${deviceColumns(devices)}\n`,
    `\n${dim(`  ${wrapMessage(assumptions(forecast), (process.stdout.columns ?? 80) - 2)}`)}\n`,
  ].join('');
}

const BASES: Readonly<Record<RunForecast['here']['basis'], string>> = {
  'this model': 'measured with this model',
  'a small model': 'measured with a small model',
  rates: 'predicted from GEMM rate, memory bandwidth and kernel launch time',
};

type Fact = readonly [label: string, value: string];

/** The vocabulary of a run that is planned without a text. */
function vocabularyOf({ config, settings }: RunForecast): string {
  const size = `${formatNumber(config.vocabSize)} tokens`;
  return settings.initFrom === undefined ? `${size}; --vocab-size changes it` : size;
}

function textFacts(
  { corpus, validationCorpus, tokens, tokenizer }: PlannedText,
  { initFrom }: RunForecast['settings'],
): Fact[] {
  const isTokenizerOpen = initFrom === undefined && !namesTokenFile(corpus.paths);
  const described = (text: typeof corpus): string => describeCorpus({ ...text, characters: undefined });
  return [
    ['corpus', described(corpus)],
    ...(validationCorpus === undefined ? [] : [['validation', described(validationCorpus)] satisfies Fact]),
    ['tokens', `${formatNumber(tokens.train)} to train on, ${formatNumber(tokens.validation)} to validate`],
    ...(isTokenizerOpen && tokenizer.kind === 'char' ? tokenizerFacts(corpus.bytes) : []),
    ['vocabulary', describeUse(tokenizer, tokens.unknown)],
  ];
}

/** Measured gains of other tokenizers on texts of this size, if there are any. */
function tokenizerFacts(bytes: number): Fact[] {
  const gains = gainsOverChar(bytes).map(gainOf);
  if (gains.length === 0) return [];
  return [['tokenizer', `char; bits per byte in three minutes on texts of this size: ${gains.join(', ')}`]];
}

function runFacts(forecast: RunForecast): Fact[] {
  const { text, tokens, here, memoryBytes, stateBytes, memoryLimit, gpu } = forecast;
  const seconds = formatDuration(Math.round(here.seconds));
  const speed = formatFlops(here.flopsPerSecond);
  return [
    ['model', describeModel(forecast)],
    ['training', describeTraining({ ...forecast, epochs: text && tokens / text.tokens.train })],
    ['compute', computeOf(forecast)],
    [
      'memory',
      `${formatBytes(memoryBytes)} here with activations; ${formatBytes(stateBytes)} of parameters, gradients and moments`,
    ],
    ...(gpu === undefined ? [] : gpuFacts({ ...gpu, bufferBytes: memoryLimit.bytes })),
    ['time here', `${seconds} at ${speed}, ${BASES[here.basis]}`],
    ...(gpu === undefined ? [] : [['', `${formatStep(here.stepSeconds)} a step`] satisfies Fact]),
    ...(memoryBytes > memoryLimit.bytes
      ? [['', `too large to train here: ${memoryLimit.who} ${formatBytes(memoryLimit.bytes)}`] satisfies Fact]
      : []),
  ];
}

const computeOf = ({ flops, flopsPerParameter, parameters, tokens, attentionFlops }: RunForecast): string =>
  `${flops.toExponential(2).replace('+', '')} FLOPs = ${flopsPerParameter} × ${formatCount(parameters)} parameters × ${formatCount(tokens)} tokens; attention scores add ${formatPercent(attentionFlops / flops)}`;

function parameterColumns({ parts, parameters }: RunForecast): string {
  const rows = Object.entries(parts).map(([name, n]) => [
    name,
    formatNumber(n),
    formatPercent(n / parameters),
  ]);
  return formatColumns(['', 'number', 'share'], [...rows, ['all', formatNumber(parameters), '']]);
}

function deviceColumns(devices: readonly DeviceRow[]): string {
  const needsSeveral = devices.some(({ leastDevices }) => leastDevices > 1);
  return formatColumns(
    ['', 'peak', 'reached', 'an hour', 'time', 'cost', ...(needsSeveral ? ['to hold it'] : [])],
    devices.map(({ name, peakFlops, utilization, dollarsPerHour, seconds, dollars, leastDevices }) => [
      name,
      `${formatNumber(peakFlops / 1e12)} TFLOP/s`,
      `${formatPercent(utilization, 0)} = ${formatNumber((peakFlops * utilization) / 1e12)}`,
      `$${dollarsPerHour.toFixed(2)}`,
      formatDuration(seconds),
      formatDollars(dollars),
      ...(needsSeveral ? [`${formatNumber(leastDevices)} devices`] : []),
    ]),
  );
}

/** Models below this size do not keep a GPU busy. */
const SMALL_MODEL = 1e8;

const assumptions = ({ parameters }: RunForecast): string =>
  'Peaks are for 16-bit GEMM; utilization and prices are assumptions: ' +
  '--device, --peak, --utilization, --price and --devices change them.' +
  (parameters < SMALL_MODEL ? ' A model as small as this cannot keep a GPU busy and reaches less.' : '');
