/**
 * `npm run test:fuzz -- [--cases N] [--seed N] [--only NAME]`: damages real files in all ways that mutations.ts knows and lets
 * every reader have them. Fails if a reader throws anything but a UserError, accepts what is not what was written, takes
 * memory out of proportion, or does not come back. It works in a thread, so that a reader that hangs is seen from outside.
 */
import { AssertionError } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { inspect, parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { assert, constantFrom, property } from 'fast-check';
import { UserError } from '../../src/errors.ts';
import { damage, damageBytes, damageJson, type Damage } from './mutations.ts';
import { readerCases, type ReaderCase } from './readers.ts';
import { contents } from './seeds.ts';

/** A reader of files of some kilobytes that needs longer, in seconds, hangs. */
const PATIENCE = 60;
/** What reading a file of some kilobytes may take, in bytes; buffers that the collector has not taken yet are in it. */
const MAX_MEMORY = 64e6;
const HEAP_MB = 512;

interface Job {
  readonly cases: number;
  readonly seed: number;
  readonly only: string | undefined;
  readonly folder: string;
  /** How many cases were begun, and how many of them were accepted. */
  readonly counters: Int32Array;
}

if (isMainThread) await main();
else await fuzz(workerData as Job);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { cases: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
  });
  const job: Job = {
    cases: Number(values.cases ?? 5000),
    seed: Number(values.seed ?? 20_261_125),
    only: values.only,
    folder: mkdtempSync(join(tmpdir(), 'fuzz-')),
    counters: new Int32Array(new SharedArrayBuffer(8)),
  };
  const started = performance.now();
  const failure = await run(job);
  const [cases, accepted] = job.counters;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(
    `${cases} cases in ${seconds} s, seed ${job.seed}: ${accepted} read as they were, ${cases - accepted} refused\n`,
  );
  if (failure === undefined) rmSync(job.folder, { recursive: true });
  else {
    process.stderr.write(`${failure}\nThe damaged file is in ${job.folder}\n`);
    process.exitCode = 1;
  }
}

/** Runs the job in a thread. Resolves to what went wrong, if anything did. */
function run(job: Job): Promise<string | undefined> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: job,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    let seen = -1;
    let seconds = 0; // counted, not measured: the whole process may be stopped for a while
    const watch = setInterval(() => {
      seconds = job.counters[0] === seen ? seconds + 1 : 0;
      seen = job.counters[0];
      if (seconds > PATIENCE) end(`case ${seen} does not come back`);
    }, 1000);
    const end = (failure: string | undefined): void => {
      clearInterval(watch);
      void worker.terminate();
      resolve(failure);
    };
    worker.once('error', (error) => end(inspect(error)));
    worker.once('exit', () => end(undefined));
  });
}

async function fuzz({ cases, seed, only, folder, counters }: Job): Promise<void> {
  const chosen = readerCases.filter(({ name }) => only === undefined || name.includes(only));
  const total = chosen.reduce((sum, { weight }) => sum + weight, 0);
  for (const reader of chosen) {
    const place = join(folder, reader.name.replace(/\W+/g, '-'));
    mkdirSync(place, { recursive: true });
    await reader.write(place);
    const files = contents(place);
    reader.read(place); // undamaged, it must be accepted
    const harmless = property(constantFrom(...reader.files), damage, (file, what) => {
      Atomics.add(counters, 0, 1);
      const content = damaged(files, file, what);
      writeFileSync(join(folder, basename(file)), content); // to be looked at if this is the last one
      try {
        if (isAccepted(reader, place, file, content)) Atomics.add(counters, 1, 1);
      } finally {
        for (const [each, undamaged] of files) writeFileSync(join(place, each), undamaged); // some readers mend files
      }
    });
    assert(harmless, { numRuns: Math.ceil((cases * reader.weight) / total), seed });
  }
}

/** A file with its damage. JSON is damaged where it stands: alone in a file, in lines, or in the header of safetensors. */
function damaged(files: ReadonlyMap<string, Buffer>, file: string, { json, bytes }: Damage): Buffer {
  const whole = files.get(file)!;
  const other = [...files.values()].find((content) => content !== whole) ?? whole;
  if (file.endsWith('.safetensors')) {
    const length = Number(whole.readBigUInt64LE());
    const header = Buffer.from(damageJson(whole.toString('utf8', 8, 8 + length), json));
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(header.length));
    return damageBytes(Buffer.concat([start, header, whole.subarray(8 + length)]), bytes, other);
  }
  const isJson = /\.(jsonl?|lock)$/.test(file);
  return damageBytes(isJson ? Buffer.from(damageJson(whole.toString(), json)) : whole, bytes, other);
}

/** Whether the reader takes the folder with the damaged file in it. Throws what it must not throw. */
function isAccepted(reader: ReaderCase, place: string, file: string, content: Buffer): boolean {
  writeFileSync(join(place, file), content);
  const before = memory();
  const accepted = tryToRead(reader, place);
  const taken = memory() - before;
  if (taken > MAX_MEMORY)
    throw new AssertionError({ message: `${taken} bytes of memory for a file of ${content.length}` });
  return accepted;
}

function tryToRead(reader: ReaderCase, place: string): boolean {
  try {
    reader.read(place);
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (error.message.includes('\n') || error.message.length > 1000)
      throw new AssertionError({ message: `not one line of reasonable length: ${error.message}` });
    return false;
  }
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
