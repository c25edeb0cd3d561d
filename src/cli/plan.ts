/** `gpt plan`: forecasts a run without starting it. */
import type { Command } from 'commander';
import { defaultThreads } from '../engine/wasm.ts';
import { costOn, deviceNames, devices, type Device, type DeviceCost } from '../plan/hardware.ts';
import { planRun, type RunPlan } from '../plan/run-plan.ts';
import type { TrainModelOptions } from '../train/settings.ts';
import {
  formatBytes,
  formatColumns,
  formatCount,
  formatDollars,
  formatDuration,
  formatNumber,
  formatPercent,
} from '../format.ts';
import { factTable } from './fact-table.ts';
import { startActivity } from './activity.ts';
import { describeCorpus } from './corpus-summary.ts';
import { replacementsToJson, warnOfReplacements } from './decoding-options.ts';
import { addExamples } from './help.ts';
import { argument, option } from './options.ts';
import { choice, filePath, number, wholeNumber } from '../values.ts';
import { addRunOptions } from './run-options.ts';
import { describeModel, describeTraining } from './run-summary.ts';
import { printJson } from './json-output.ts';
import { print, stdoutColors } from './terminal.ts';
import { noticeIfTextTyped } from './typed-input.ts';

interface HardwareFlags {
  readonly device?: keyof typeof devices;
  readonly devices: number;
  readonly peak?: number;
  readonly utilization?: number;
  readonly price?: number;
}

type Flags = Omit<TrainModelOptions, 'corpus'> &
  HardwareFlags & {
    readonly tokens?: number;
    readonly flopsPerParameter?: number;
    readonly json?: true;
    // A global flag, not an option of a run.
    readonly quiet?: true;
    readonly verbose?: true;
    readonly debug?: true;
    readonly config?: string;
    readonly color?: boolean;
  };

export function register(command: Command): void {
  command.addArgument(
    argument('[corpus...]', 'text to train on, as for gpt train; without one, name a model', filePath),
  );
  addRunOptions(command);
  command.optionsGroup('Cost:');
  command
    .addOption(
      option('--tokens <n>', 'train on so many tokens', wholeNumber({ min: 1 })).conflicts([
        'maxIters',
        'minutes',
      ]),
    )
    .addOption(
      option(
        '--flops-per-parameter <n>',
        'for each token (default: 6, forward 2 and backward 4)',
        number({ above: 0, max: 1e6 }),
      ),
    )
    .addOption(option('--device <name>', `only this one: ${deviceNames.join(', ')}`, choice(deviceNames)))
    .addOption(option('--devices <n>', 'so many at once', wholeNumber({ min: 1 }), 1))
    .addOption(
      option(
        '--peak <tflops>',
        'TFLOP/s of a device, instead of those listed',
        number({ above: 0, max: 1e9 }),
      ),
    )
    .addOption(option('--utilization <p>', 'share of the peak that is reached', number({ above: 0, max: 1 })))
    .addOption(option('--price <dollars>', 'an hour of a device', number({ min: 0 })))
    .option('--json', 'print the plan as JSON')
    .action(showPlan);
  addExamples(command, [
    ['What gpt train would do with a text', 'gpt plan book.txt --minutes 10'],
    ['GPT-3', 'gpt plan --preset gpt3-175b --tokens 300e9'],
    [
      'On a cluster of your own',
      'gpt plan --preset gpt2-xl --peak 400 --utilization 0.5 --price 2 --devices 64',
    ],
  ]);
}

async function showPlan(corpus: string[], flags: Flags): Promise<void> {
  const {
    json,
    device,
    devices: count,
    peak,
    utilization,
    price,
    tokens,
    flopsPerParameter,
    ...rest
  } = flags;
  const {
    quiet: _quiet,
    verbose: _verbose,
    debug: _debug,
    config: _config,
    color: _color,
    ...options
  } = rest;
  noticeIfTextTyped([...corpus, options.valFile]);
  const preparation = startActivity();
  const planned = await planRun(
    { corpus, ...options },
    {
      tokens,
      flopsPerParameter,
      threads: options.threads ?? defaultThreads(),
      preparing: preparation.report,
      measuring: () => preparation.update('measuring this machine'),
    },
  ).finally(preparation.stop);
  const rows = devicesFor({ device, devices: count, peak, utilization, price } as HardwareFlags).map(
    (each) => ({ ...each, ...costOn(each, { flops: planned.flops, stateBytes: planned.stateBytes, count }) }),
  );
  warnOfReplacements(planned.replacements, planned.settings.encoding);
  if (json) await printJson(asJson(planned, rows, count), 2);
  else await print(describe(planned, rows, count));
}

type Row = Device & DeviceCost;

/** The devices of the table, or the requested one, with the assumptions set by flags. */
function devicesFor({ device, peak, utilization, price }: HardwareFlags): Device[] {
  const said = {
    ...(peak !== undefined && { peakFlops: peak * 1e12 }),
    ...(utilization !== undefined && { utilization }),
    ...(price !== undefined && { dollarsPerHour: price }),
  };
  if (device === undefined && peak !== undefined)
    return [
      { name: 'yours', utilization: 0.4, dollarsPerHour: 0, memoryBytes: Infinity, peakFlops: 0, ...said },
    ];
  const names = device === undefined ? deviceNames : [device];
  return names.map((name) => ({ ...devices[name], ...said }));
}

function describe(plan: RunPlan, rows: readonly Row[], count: number): string {
  const { bold, dim } = stdoutColors;
  const heading = (text: string): string => `\n${bold(text)}\n`;
  const { corpus, validationCorpus, textTokens, here } = plan;
  const lines: [string, string][] = [];
  if (corpus !== undefined && textTokens !== undefined) {
    lines.push(
      ['corpus', describeCorpus({ ...corpus, characters: undefined })],
      ...(validationCorpus === undefined
        ? []
        : [
            ['validation', describeCorpus({ ...validationCorpus, characters: undefined })] as [
              string,
              string,
            ],
          ]),
      [
        'tokens',
        `${formatNumber(textTokens.train)} to train on, ${formatNumber(textTokens.validation)} to validate`,
      ],
    );
  }
  lines.push(
    [
      'vocabulary',
      `${formatNumber(plan.config.vocabSize)} tokens${corpus === undefined ? '; --vocab-size changes it' : ''}`,
    ],
    ['model', describeModel(plan)],
    ['training', describeTraining({ ...plan, epochs: textTokens && plan.tokens / textTokens.train })],
    ['compute', computeOf(plan)],
    [
      'memory',
      `${formatBytes(plan.memoryBytes)} here with activations; ${formatBytes(plan.stateBytes)} of parameters, gradients and moments`,
    ],
    [
      'time here',
      `${formatDuration(Math.round(here.seconds))} at ${formatNumber(here.flopsPerSecond / 1e9)} GFLOP/s, ${here.measured ? 'measured with this model' : 'measured with a small model'}`,
    ],
  );
  if (plan.memoryBytes > plan.memoryLimit.bytes)
    lines.push([
      '',
      `too large to train here: ${plan.memoryLimit.who} ${formatBytes(plan.memoryLimit.bytes)}`,
    ]);

  const parts = Object.entries(plan.parts).map(([name, n]) => [
    name,
    formatNumber(n),
    formatPercent(n / plan.parameters),
  ]);
  parts.push(['all', formatNumber(plan.parameters), '']);
  const least = Math.max(...rows.map((row) => row.leastDevices));
  return [
    `${factTable(lines, process.stdout)}\n`,
    heading('Parameters'),
    `${formatColumns(['', 'number', 'share'], parts)}\n`,
    heading(count === 1 ? 'On one device' : `On ${formatNumber(count)} devices`),
    `${formatColumns(
      ['', 'peak', 'reached', 'an hour', 'time', 'cost', ...(least > 1 ? ['to hold it'] : [])],
      rows.map((row) => [
        row.name,
        `${formatNumber(row.peakFlops / 1e12)} TFLOP/s`,
        `${formatPercent(row.utilization, 0)} = ${formatNumber((row.peakFlops * row.utilization) / 1e12)}`,
        `$${row.dollarsPerHour.toFixed(2)}`,
        formatDuration(row.seconds),
        formatDollars(row.dollars),
        ...(least > 1 ? [`${formatNumber(row.leastDevices)} devices`] : []),
      ]),
    )}\n`,
    dim(
      `\n  Peaks are of 16-bit products; the share of them that is reached, and prices, are assumptions:\n  --device, --peak, --utilization, --price and --devices change them.${plan.parameters < 1e8 ? ' A model as small\n  as this keeps no GPU busy, and reaches less.' : ''}\n`,
    ),
  ].join('');
}

const computeOf = ({ flops, flopsPerParameter, parameters, tokens, attentionFlops }: RunPlan): string =>
  `${flops.toExponential(2).replace('+', '')} FLOPs = ${flopsPerParameter} × ${formatCount(parameters)} parameters × ${formatCount(tokens)} tokens; attention scores add ${formatPercent(attentionFlops / flops)}`;

const corpusAsJson = (
  { files, bytes, characters, sha256, crlf, isSorted, leftOut }: NonNullable<RunPlan['corpus']>,
  tokens: RunPlan['textTokens'],
) => ({ files, left_out: leftOut, bytes, characters, sha256, crlf, is_sorted: isSorted, tokens });

const asJson = (plan: RunPlan, rows: readonly Row[], count: number) => ({
  corpus: plan.corpus && {
    ...corpusAsJson(plan.corpus, plan.textTokens),
    ...replacementsToJson(plan.replacements),
  },
  model: { ...plan.config, parameters: plan.parameters, parts: plan.parts },
  training: {
    steps: plan.steps,
    tokens_per_step: plan.tokensPerStep,
    tokens: plan.tokens,
    options: plan.settings,
  },
  flops: plan.flops,
  flops_per_parameter: plan.flopsPerParameter,
  attention_flops: plan.attentionFlops,
  state_bytes: plan.stateBytes,
  memory_bytes: plan.memoryBytes,
  here: {
    seconds: plan.here.seconds,
    flops_per_second: plan.here.flopsPerSecond,
    fits: plan.memoryBytes <= plan.memoryLimit.bytes,
  },
  devices: rows.map((row) => ({
    name: row.name,
    count,
    peak_flops: row.peakFlops,
    utilization: row.utilization,
    dollars_per_hour: row.dollarsPerHour,
    seconds: row.seconds,
    years: row.seconds / (365.25 * 86_400),
    dollars: row.dollars,
    least_devices: row.leastDevices,
  })),
});
