/** `gpt doctor --mpi`: which MPI the ranks talk over, and how fast. */
import { detectLaunch, launcherNames } from '../collective/launch.ts';
import type { MpiCommunicator } from '../collective/mpi/connect.ts';
import { timeNetwork, type LinkTimes } from '../collective/time-network.ts';
import { UsageError } from '../errors.ts';
import { fitNetwork, type NetworkFit } from '../forecast/network.ts';
import { formatBytes, formatCountOf, formatPercent } from '../format.ts';
import { connect, disconnect } from './connected-ranks.ts';
import { formatColumns } from './columns.ts';
import { factTable } from './fact-table.ts';
import { formatShort } from './format-short.ts';
import { printJson, snakeCased } from './json-output.ts';
import { networkFlag } from './plan/hosts.ts';
import { ranksByHost, type HostRanks } from './ranks-by-host.ts';
import { notice, print, printable } from './terminal.ts';

/** Timeout for a rank that does not answer, in seconds. */
const TIMEOUT = 60;

interface NetworkFindings {
  readonly library: string;
  readonly abi: string;
  readonly launcher: string;
  readonly node: string;
  readonly hosts: readonly HostRanks[];
  /** Fitted to transfers in both directions at once, which is how ranks exchange gradients. */
  readonly links: readonly (LinkTimes & { readonly fit: NetworkFit })[];
}

/** Measures the network between the ranks, all of which call it. Rank 0 alone prints. */
export async function examineNetwork(seconds: number, json: boolean): Promise<void> {
  const launch = detectLaunch(process.env);
  if (launch === undefined)
    throw new UsageError(
      'missing-argument',
      '--mpi needs several processes, and this one was started alone',
      {
        hint: 'mpirun -n 2 gpt doctor --mpi; with --host a,b or --hostfile for two hosts',
      },
    );
  const all = await connect(launch);
  all.timeout = TIMEOUT;
  // Separate lines, not one that is redrawn: launchers merge the output of all ranks line by line, some through a pseudo-terminal.
  const links = await timeNetwork(all, seconds, (host) => notice(`Timing messages to ${printable(host)}.`));
  await disconnect();
  if (all.rank > 0) return;
  const found = findings(all, launcherNames[launch.launcher], links);
  if (json) await printJson(snakeCased(found), 2);
  else await print(report(found));
}

const findings = (
  { library, abi, hosts }: MpiCommunicator,
  launcher: string,
  links: readonly LinkTimes[],
): NetworkFindings => ({
  library,
  abi,
  launcher,
  node: process.versions.node,
  hosts: ranksByHost(hosts),
  links: links.map((link) => ({
    ...link,
    fit: fitNetwork(link.times.map(({ bytes, exchangeSeconds }) => ({ bytes, seconds: exchangeSeconds }))),
  })),
});

function report({ library, abi, launcher, node, hosts, links }: NetworkFindings): string {
  const facts = factTable(
    [
      [
        'library',
        `${printable(library)}, called through ${abi === 'Open MPI' ? 'its own ABI' : `the ${abi}`}`,
      ],
      ['launcher', launcher],
      ['node', node],
      ...hosts.map(({ name, ranks }, i): [string, string] => [
        i === 0 ? 'hosts' : '',
        `${printable(name)}: ${formatCountOf(ranks, 'rank')}`,
      ]),
    ],
    {},
  );
  return [facts, ...links.map((link) => reportLink(link, hosts[0].name)), ''].join('\n');
}

function reportLink(
  { rank, host, isLocal, times, fit }: NetworkFindings['links'][number],
  first: string,
): string {
  const where = isLocal
    ? `Within ${printable(host)}, rank 0 and rank ${rank}`
    : `${printable(first)} and ${printable(host)}, rank 0 and rank ${rank}`;
  const columns = formatColumns(
    ['message', 'one way', 'rate', 'both ways at once', 'rate each'],
    times.map(({ bytes, seconds, exchangeSeconds }) => [
      formatBytes(bytes),
      formatShort(seconds),
      formatBandwidth(bytes / seconds),
      formatShort(exchangeSeconds),
      formatBandwidth(bytes / exchangeSeconds),
    ]),
  );
  const { latency, bandwidth, worst } = fit;
  const sum = `Both ways at once, n bytes take about ${formatShort(latency)} + n / ${formatBandwidth(bandwidth)}, off by at most ${formatPercent(worst, 0)}.\n  In gpt plan: --network ${networkFlag(fit)}`;
  return `\n${where}:\n${columns}\n  ${sum}`;
}

const formatBandwidth = (rate: number): string => `${formatBytes(rate)}/s`;
