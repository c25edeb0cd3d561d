/** `gpt doctor`: the state and speed of the engine on this computer, and what would make it faster. */
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { chooseBackend } from '../engine/backend.ts';
import type { Device } from '../engine/device.ts';
import { profileOf, type KernelProfile } from '../engine/profile.ts';
import type { Rejection } from '../engine/rejection.ts';
import { gemmPeak, readBandwidth } from '../measure/engine.ts';
import { benchModels } from '../measure/models.ts';
import { startTraining } from '../train/timed-training.ts';
import { formatBytes, formatFlops, formatPercent } from '../format.ts';
import { formatColumns } from './columns.ts';
import { factTable } from './fact-table.ts';
import { whileDoing } from './activity.ts';
import { addExamples } from './help.ts';
import { number } from '../values.ts';
import { blasOption, threadsOption } from './model-options.ts';
import { option } from './options.ts';
import { rateOf } from './profile-table.ts';
import { cacheFolder, setTileFolder } from '../engine/webgpu/tile-cache.ts';
import { examineGpu, gpuFacts, type GpuFindings } from './doctor-gpu.ts';
import { printJson, snakeCased } from './json-output.ts';
import { notice, print, printable, stdoutColors } from './terminal.ts';

interface Flags {
  readonly seconds: number;
  readonly threads?: number;
  readonly mpi?: true;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addOption(option('--seconds <n>', 'seconds per measurement', number({ min: 0.1, max: 600 }), 1))
    .addOption(threadsOption())
    .addOption(blasOption())
    .option('--mpi', 'measure the network between processes that mpirun has started')
    .option('--json', 'print the results as JSON')
    .action(doctor);
  addExamples(command, [
    ['Is everything as fast as it can be?', 'gpt doctor'],
    ['The peak, for a script', 'gpt doctor --json | jq .peak_flops'],
    ['The network between two hosts', 'mpirun -n 2 --host a,b gpt doctor --mpi'],
  ]);
}

/** CPU load of other programs, in cores, above which measurements are too low. */
const BUSY = 0.3;

interface Findings {
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly engine: string;
  readonly threads: number;
  /** Threads active at the end of the profiled training; fewer than `threads` if other programs use cores. */
  readonly activeThreads: number;
  /** Cores in use by other programs before the measurements. */
  readonly busyCores: number;
  /** Why fewer threads were started than requested. */
  readonly shortfall?: string | undefined;
  readonly rejected: readonly Rejection[];
  /** GEMM in cache, in FLOP/s, with one thread and with all. */
  readonly peakFlopsOneThread: number;
  readonly peakFlops: number;
  /** Bytes/s with all threads. */
  readonly readBandwidth: number;
  /** Kernels of training a model with 6 layers and 384 channels. */
  readonly kernels: readonly KernelProfile[];
  readonly gpu: GpuFindings;
  readonly advice: readonly string[];
}

async function doctor({ seconds, threads, mpi, json }: Flags): Promise<void> {
  if (mpi) return (await import('./doctor-mpi.ts')).examineNetwork(seconds, json === true);
  notice(`Checking the engine; this takes about ${Math.ceil(7 * seconds) + 3} seconds.\n`);
  const findings = await whileDoing('measuring how busy the cores are', (activity) =>
    examine(seconds, threads === undefined ? {} : { threads }, activity.update),
  );
  if (json) await printJson(snakeCased(findings), 2);
  else await print(report(findings));
}

async function examine(
  seconds: number,
  options: { readonly threads?: number },
  progress: (what: string) => void,
): Promise<Findings> {
  const load = await measureBusyCores();
  const { backend, rejected } = await chooseBackend({ ...options, profile: true });
  progress('measuring GEMM');
  const peakFlops = await gemmPeak(backend, seconds);
  progress('measuring memory bandwidth');
  const bandwidth = await readBandwidth(backend, seconds);
  await backend.close();
  const { backend: one } = await chooseBackend({ threads: 1 });
  progress('measuring GEMM with one thread');
  const peakFlopsOneThread = await gemmPeak(one, seconds);
  await one.close();
  const { backend: fresh } = await chooseBackend({ ...options, profile: true });
  progress('training a model, kernel by kernel');
  const kernels = await profileTraining(fresh, 2 * seconds);
  const { activeThreads } = fresh;
  await fresh.close();
  setTileFolder(cacheFolder(process.env)); // `chooseEngine` does so only where a device is given
  const gpu = await examineGpu(seconds, progress);
  return {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    freeMemoryBytes: process.platform === 'linux' ? process.availableMemory() : freemem(),
    engine: backend.name,
    threads: backend.threads,
    activeThreads,
    busyCores: load,
    shortfall: backend.shortfall,
    rejected,
    peakFlopsOneThread,
    peakFlops,
    readBandwidth: bandwidth,
    kernels,
    gpu,
    advice: adviceFor(backend, rejected, load),
  };
}

/** Number of cores in use by other programs, measured over half a second of idling. */
async function measureBusyCores(): Promise<number> {
  const read = () =>
    cpus().reduce(
      (sum, { times }) => ({
        idle: sum.idle + times.idle,
        all: sum.all + Object.values(times).reduce((a, b) => a + b),
      }),
      { idle: 0, all: 0 },
    );
  const before = read();
  await sleep(500);
  const after = read();
  return cpus().length * (1 - (after.idle - before.idle) / Math.max(1, after.all - before.all));
}

/** Profiles training of a typical model for `seconds`, after an equally long warm-up for V8 to compile the kernels. */
async function profileTraining(backend: Device, seconds: number): Promise<KernelProfile[]> {
  const training = startTraining(backend, { ...benchModels.baby, batchSize: 2 });
  const warm = performance.now() + 1000 * seconds;
  while (performance.now() < warm) await training.run(1);
  const since = await training.timings();
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) await training.run(1);
  return profileOf(await training.timings(), { since, kindOf: ({ kernel }) => kernel });
}

function adviceFor(backend: Device, rejected: readonly Rejection[], load: number): string[] {
  const advice: string[] = [];
  for (const { what, reason } of rejected) {
    const needed = /needs (?:a processor with (\S+) and )?(Node [\d.]+ or newer)/.exec(reason);
    if (needed !== null)
      advice.push(
        `${needed[1] === undefined ? '' : `if the processor has ${needed[1]}, `}use ${needed[2]}, which the faster engine '${what}' needs`,
      );
    else if (reason.startsWith('gives '))
      advice.push(`engine '${what}' ${reason}: please report this with the CPU model and Node version`);
    else if (/ is missing$| is not the library /.test(reason))
      advice.push(`install gpt again, or run npm run build in its folder: ${reason}`);
    else if (backend.name.startsWith('reference'))
      advice.push(`engine '${what}' does not work here: ${reason}`);
  }
  if (backend.shortfall !== undefined)
    advice.push(`allow more threads (ulimit -u, or the container's process limit): ${backend.shortfall}`);
  else if (backend.threads < availableParallelism())
    advice.push(`omit --threads to use all ${availableParallelism()} cores`);
  if (availableParallelism() < cpus().length)
    advice.push(
      `this process may use ${availableParallelism()} of ${cpus().length} cores (taskset, or a container's limit?)`,
    );
  if (load > BUSY)
    advice.push(
      `close other programs: they keep ${describeCores(load)} busy, so the rates above are too low`,
    );
  return advice;
}

const describeCores = (cores: number): string => `${cores.toFixed(1)} of ${availableParallelism()} cores`;

/** Findings about threads and cores. */
type ThreadFindings = Pick<Findings, 'busyCores' | 'activeThreads' | 'threads' | 'kernels'>;

/** Explains the number of active threads by the load of other programs; empty if every thread had a core. */
export function describeThreads({ busyCores, activeThreads, threads, kernels }: ThreadFindings): string[] {
  const isBusy = busyCores > BUSY;
  if (!isBusy && activeThreads === threads) return [];
  const seen = `before the test, other programs kept ${describeCores(busyCores)} busy`;
  if (threads === 1) return [seen, 'the engine has only one thread'];
  if (activeThreads < threads)
    return [
      seen,
      `training ran on ${activeThreads} of ${threads} threads: more were slower, because a thread without a core delays the others`,
      'the engine tries more threads from time to time and keeps whichever number is faster',
    ];
  const sum = (field: 'seconds' | 'waited') => kernels.reduce((total, kernel) => total + kernel[field], 0);
  return [
    seen,
    `training still ran on all ${threads} threads, which waited for each other ${formatPercent(sum('waited') / sum('seconds'))} of the time`,
    'the engine tries fewer threads when waiting takes long, and keeps them only if they are faster',
  ];
}

function report(found: Findings): string {
  const facts = factTable(
    [
      ['processor', `${printable(found.processor)}, ${found.cores} ${found.cores === 1 ? 'core' : 'cores'}`],
      ['memory', `${formatBytes(found.memoryBytes)}, ${formatBytes(found.freeMemoryBytes)} free`],
      ['node', `${found.node}, ${found.platform}`],
      ['engine', found.engine],
      ...describeThreads(found).map((line) => ['', line] as const),
      ...found.rejected.map(
        ({ what, reason }) => ['', stdoutColors.dim(`not ${what}: ${printable(reason)}`)] as const,
      ),
      [
        'peak',
        `${formatFlops(found.peakFlops)} GEMM peak; ${formatFlops(found.peakFlopsOneThread)} with one thread`,
      ],
      ['bandwidth', `${(found.readBandwidth / 1e9).toFixed(1)} GB/s read bandwidth`],
      ...gpuFacts(found.gpu),
    ],
    process.stdout,
  );
  const total = found.kernels.reduce((sum, { seconds }) => sum + seconds, 0);
  const columns = formatColumns(
    ['kernel', 'share', 'rate', 'of the peak', 'waiting'],
    found.kernels.map((kernel) => [
      kernel.name,
      formatPercent(kernel.seconds / total),
      rateOf(kernel),
      kernel.flops > 0 ? formatPercent(kernel.flops / kernel.seconds / found.peakFlops, 0) : '',
      formatPercent(kernel.waited / kernel.seconds),
    ]),
  );
  const verdict =
    found.advice.length === 0
      ? stdoutColors.green('This is the fastest engine, on all cores.')
      : `To make it faster:\n${found.advice.map((line) => `  - ${printable(line)}`).join('\n')}`;
  return `${facts}\n\nTraining a model of 6 layers and 384 channels:\n${columns}\n\n${verdict}\n`;
}
