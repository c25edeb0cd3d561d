/** `gpt plan`: forecasts a run without starting it. */
import { Option, type Command } from 'commander';
import { UsageError } from '../errors.ts';
import { deviceChoices, type DeviceChoice } from '../engine/device-choice.ts';
import { defaultThreads } from '../engine/wasm.ts';
import { costOn, acceleratorNames, accelerators, type Accelerator } from '../forecast/hardware.ts';
import { forecastHosts } from '../forecast/hosts.ts';
import { forecastRun, type RunForecast } from '../forecast/run-forecast.ts';
import { countTrained } from '../model/parameters.ts';
import type { TrainModelOptions } from '../train/settings.ts';
import { startActivity } from './activity.ts';
import { warnOfReplacements } from './decoding-options.ts';
import { addExamples } from './help.ts';
import { argument, option } from './options.ts';
import { choice, filePath, number, wholeNumber } from '../values.ts';
import {
  addGroup,
  addRunOptions,
  rankTimeoutOption,
  withoutOtherFlags,
  type OtherFlags,
} from './run-options.ts';
import { reportUnused } from './model-options.ts';
import { printJson, snakeCased } from './json-output.ts';
import { forecastJson } from './plan/forecast-json.ts';
import { forecastText } from './plan/forecast-text.ts';
import { hostsOption, hostsText, networkOption, networkType, type NamedNetwork } from './plan/hosts.ts';
import { print, warn } from './terminal.ts';
import { warningsAboutSettings, warningsBefore } from './train/warnings.ts';
import { noticeIfTextTyped } from './typed-input.ts';

interface HardwareFlags {
  readonly device?: keyof typeof accelerators | DeviceChoice;
  readonly devices: number;
  readonly peak?: number;
  readonly utilization?: number;
  readonly price?: number;
}

type Flags = Omit<TrainModelOptions, 'corpus'> &
  HardwareFlags &
  OtherFlags & {
    readonly tokens?: number;
    readonly flopsPerParameter?: number;
    readonly hosts?: number;
    readonly network?: NamedNetwork;
    readonly rankTimeout: number;
    readonly json?: true;
  };

export function register(command: Command): void {
  command.addArgument(
    argument('[corpus...]', 'text to train on, as for gpt train; optional if a model is given', filePath),
  );
  addRunOptions(command);
  addGroup(command, 'Evaluation and output');
  addIgnoredOptions(command);
  command.optionsGroup('Cost:');
  command
    .addOption(
      option('--tokens <n>', 'number of training tokens', wholeNumber({ min: 1 })).conflicts([
        'maxIters',
        'minutes',
      ]),
    )
    .addOption(
      option(
        '--flops-per-parameter <n>',
        'per token (default: 6, forward 2 and backward 4)',
        number({ above: 0, max: 1e6 }),
      ),
    )
    .addOption(
      option(
        '--device <name>',
        `a single accelerator of the table: ${acceleratorNames.join(', ')}; or the device to plan for here, as for gpt train: ${deviceChoices.join(', ')} (default: cpu)`,
        choice([...acceleratorNames, ...deviceChoices]),
      ),
    )
    .addOption(option('--devices <n>', 'number of devices', wholeNumber({ min: 1 }), 1))
    .addOption(
      option(
        '--peak <tflops>',
        'TFLOP/s per device, instead of the listed peak',
        number({ above: 0, max: 1e9 }),
      ),
    )
    .addOption(
      option(
        '--utilization <p>',
        'fraction of the peak that training reaches (MFU)',
        number({ above: 0, max: 1 }),
      ),
    )
    .addOption(option('--price <dollars>', 'US dollars per device-hour', number({ min: 0 })))
    .addOption(hostsOption())
    .addOption(networkOption())
    .option('--json', 'print the plan as JSON')
    .action(showPlan);
  addExamples(command, [
    ['What gpt train would choose for a text', 'gpt plan book.txt --minutes 10'],
    ['GPT-3', 'gpt plan --preset gpt3-175b --tokens 300e9'],
    [
      'On a cluster of your own',
      'gpt plan --preset gpt2-xl --peak 400 --utilization 0.5 --price 2 --devices 64',
    ],
    ['On the CPU or a GPU, whichever is faster', 'gpt plan book.txt --minutes 10 --device auto'],
    ['On 16 hosts like this one', 'gpt plan book.txt --minutes 60 --hosts 16 --network 1gbit'],
  ]);
}

/** So that a command becomes a plan if `train` is replaced. */
function addIgnoredOptions(command: Command): void {
  command
    .addOption(option('-o, --out-dir <folder>', 'folder of the run', filePath).hideHelp())
    .addOption(new Option('--overwrite', 'replace the run in --out-dir').hideHelp())
    .addOption(new Option('--profile', 'print the time per kernel at the end').hideHelp())
    .addOption(rankTimeoutOption().hideHelp());
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
    hosts,
    network = networkType.read('10gbit')!,
    rankTimeout: _rankTimeout,
    ...options
  } = withoutOtherFlags(flags);
  if (hosts === undefined && flags.network !== undefined)
    throw new UsageError('conflicting-options', '--network has no effect without --hosts', {
      hint: 'give the number of hosts, such as --hosts 4',
    });
  noticeIfTextTyped([...corpus, options.valFile]);
  const preparation = startActivity();
  const forecast = await forecastRun(
    { corpus, ...options },
    {
      tokens,
      flopsPerParameter,
      hosts,
      threads: options.threads ?? defaultThreads(),
      preparing: preparation.report,
      measuring: () => preparation.update('measuring this computer'),
    },
  ).finally(preparation.stop);
  const rows = devicesFor({ device, devices: count, peak, utilization, price } as HardwareFlags).map(
    (each) => ({
      ...each,
      ...costOn(each, { flops: forecast.flops, stateBytes: forecast.stateBytes, count }),
    }),
  );
  reportUnused(forecast.rejected);
  // With a number of tokens, the text may be a sample of the one that is planned for.
  const { text, ...withoutText } = forecast;
  for (const warning of warningsAbout(
    tokens === undefined ? { ...withoutText, text } : { ...withoutText, text: undefined },
  ))
    warn(warning);
  warnOfReplacements(forecast.text?.replacements ?? [], forecast.settings.encoding);
  const steps = hosts === undefined ? [] : forecastHosts(forecast, options, hosts, network);
  if (json)
    await printJson(
      {
        ...forecastJson(forecast, rows, count),
        ...(hosts !== undefined && { network: snakeCased(network), hosts: snakeCased(steps) }),
      },
      2,
    );
  else if (hosts === undefined) await print(forecastText(forecast, rows, count));
  else await print(forecastText(forecast, rows, count) + hostsText(steps, network, forecast));
}

/** Those of a training run, as far as they are known before it. */
function warningsAbout({ text, ...run }: RunForecast): string[] {
  if (text === undefined) return warningsAboutSettings({ ...run, isResumed: false });
  return warningsBefore({
    ...run,
    ...text,
    isResumed: false,
    trainedParameters: countTrained(run.config),
    epochs: run.tokens / text.tokens.train,
  });
}

/** The devices of the table, or the requested one, with the assumptions set by flags. */
function devicesFor({ device, peak, utilization, price }: HardwareFlags): Accelerator[] {
  const said = {
    ...(peak !== undefined && { peakFlops: peak * 1e12 }),
    ...(utilization !== undefined && { utilization }),
    ...(price !== undefined && { dollarsPerHour: price }),
  };
  const isHere = device !== undefined && deviceChoices.some((name) => name === device);
  if ((device === undefined || isHere) && peak !== undefined)
    return [
      { name: 'yours', utilization: 0.4, dollarsPerHour: 0, memoryBytes: Infinity, peakFlops: 0, ...said },
    ];
  const names = acceleratorNames.filter((name) => device === undefined || isHere || name === device);
  return names.map((name) => ({ ...accelerators[name], ...said }));
}
