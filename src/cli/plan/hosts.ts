/** `gpt plan --hosts`: a run on several hosts like this one. */
import type { Option } from 'commander';
import type { RunForecast } from '../../forecast/run-forecast.ts';
import { networks, type NetworkModel, type StepForecast } from '../../forecast/network.ts';
import { formatBytes, formatCountOf, formatDuration, formatNumber, formatPercent } from '../../format.ts';
import { wholeNumber, type OptionType } from '../../values.ts';
import { formatColumns } from '../columns.ts';
import { formatShort } from '../format-short.ts';
import { option } from '../options.ts';
import { stdoutColors } from '../terminal.ts';

/** A network as named by the user, with its assumed latency and bandwidth. */
export interface NamedNetwork extends NetworkModel {
  readonly name: string;
}

const names = Object.keys(networks) as (keyof typeof networks)[];

/** `10gbit`, or latency and bandwidth as `gpt doctor --mpi` prints them: `40us,1.1GB`. */
export const networkType: OptionType<NamedNetwork> = {
  is: (value): value is NamedNetwork => typeof value === 'object' && value !== null && 'latency' in value,
  expected: `${names.join(', ')}, or a latency and a bandwidth such as 40us,1.1GB`,
  completes: names,
  read(text) {
    const name = names.find((each) => each === text);
    if (name !== undefined) return { name, ...networks[name] };
    const [, latency, unit = '', bandwidth, prefix = ''] =
      /^(\d+(?:\.\d+)?)(us|µs|ms),(\d+(?:\.\d+)?)([MG])B(?:\/s)?$/.exec(text) ?? [];
    if (latency === undefined || Number(bandwidth) === 0) return undefined;
    return {
      name: text,
      latency: Number(latency) * (unit === 'ms' ? 1e-3 : 1e-6),
      bandwidth: Number(bandwidth) * (prefix === 'G' ? 1e9 : 1e6),
    };
  },
};

export const hostsOption = (): Option =>
  option(
    '--hosts <n>',
    'time per step on up to n hosts like this one, over MPI',
    wholeNumber({ min: 2, max: 10_000 }),
  );

export const networkOption = (): Option =>
  option('--network <name>', `between hosts: ${networkType.expected} (default: 10gbit)`, networkType);

/** The network as `--network` takes it. */
export const networkFlag = ({ latency, bandwidth }: NetworkModel): string =>
  `${Number((latency * 1e6).toPrecision(3))}us,${Number((bandwidth / 1e6).toPrecision(3))}MB`;

export function hostsText(
  rows: readonly StepForecast[],
  network: NamedNetwork,
  { steps, settings: { syncEvery } }: Pick<RunForecast, 'steps' | 'settings'>,
): string {
  const columns = formatColumns(
    ['hosts', 'a step', 'computing', 'network', 'hidden', 'speed-up', 'efficiency', 'the run'],
    rows.map((row) => [
      formatNumber(row.hosts),
      formatShort(row.seconds),
      formatShort(row.computeSeconds),
      formatShort(row.exposedSeconds + row.hiddenSeconds),
      formatShort(row.hiddenSeconds),
      `${row.speedup.toFixed(2)}×`,
      formatPercent(row.efficiency, 0),
      formatDuration(row.seconds * steps),
    ]),
  );
  const heading = stdoutColors.bold(`On several hosts, over ${network.name}`);
  return `\n${heading}\n${columns}\n\n${stdoutColors.dim(assumptions(network, syncEvery))}\n`;
}

const assumptions = ({ latency, bandwidth }: NamedNetwork, syncEvery: number | undefined): string =>
  `  One rank per host, hosts like this one; n bytes take ${formatShort(latency)} + n / ${formatBytes(bandwidth)}/s\n` +
  '  both ways at once (gpt doctor --mpi measures it). ' +
  (syncEvery === undefined
    ? 'Gradients are sent during the\n  backward pass (hidden), parameters after the update.'
    : `Replicas are synchronized\n  every ${formatCountOf(syncEvery, 'step')}; each step is charged its share of that time.`);
