/**
 * Starts worker threads. If the system refuses some of them (a process limit, a small container), the engine runs on those that
 * report within a timeout.
 */
import { Worker } from 'node:worker_threads';
import { workerFlags } from '../../worker-flags.ts';

export interface StartedWorkers {
  /** Threads 1, 2, … of the engine, ready for jobs. They do not keep the process alive. */
  readonly workers: readonly Worker[];
  /** Why some could not be started; undefined if all were. */
  readonly shortfall: string | undefined;
}

export interface WorkerSource {
  /** Creates one worker; the default runs worker.js. */
  readonly create?: (data: unknown) => Worker;
  /** Timeout for a worker to report, in milliseconds. */
  readonly patience?: number;
}

const START_PATIENCE = 20_000;

/**
 * Starts `count` workers and gives those that report thread indices from 1 on. Never rejects.
 *
 * @param data the module and the memory that each worker instantiates, see worker.ts
 */
export async function startWorkers(
  data: unknown, // the package's own types cannot refer to WebAssembly's
  count: number,
  { create = createWorker, patience = START_PATIENCE }: WorkerSource = {},
): Promise<StartedWorkers> {
  const attempts = await Promise.all(
    Array.from({ length: count }, () => startWorker(() => create(data), patience)),
  );
  const workers = attempts.filter((attempt) => typeof attempt !== 'string');
  workers.forEach((worker, i) => worker.postMessage(i + 1));
  const failures = attempts.filter((attempt) => typeof attempt === 'string');
  const shortfall =
    failures.length === 0
      ? undefined
      : `${failures.length} of ${count + 1} threads could not be started: ${failures[0]}`;
  return { workers, shortfall };
}

const createWorker = (workerData: unknown): Worker =>
  new Worker(new URL('../../../dist/engine/wasm/worker.js', import.meta.url), {
    workerData,
    execArgv: workerFlags(),
  });

/** Resolves to the worker when it reports, or to the reason for its failure. */
function startWorker(create: () => Worker, patience: number): Promise<Worker | string> {
  return new Promise((resolve) => {
    let worker: Worker;
    try {
      worker = create();
    } catch (error) {
      resolve(messageOf(error));
      return;
    }
    worker.unref();
    const timer = setTimeout(() => giveUp(`no answer within ${patience / 1000} s`), patience);
    const giveUp = (reason: string): void => {
      clearTimeout(timer);
      void worker.terminate();
      resolve(reason);
    };
    worker.once('message', () => {
      clearTimeout(timer);
      resolve(worker);
    });
    // Stays registered: without a listener, an exception of a kernel would end the process.
    worker.on('error', (error) => giveUp(messageOf(error)));
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
