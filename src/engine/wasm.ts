import { isAscii } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { ActiveThreads, Pace } from './active-threads.ts';
import { engineStart, MAX_PAGES, PAGE, programsStart, THREAD_SCRATCH } from './address-space.ts';
import type { Backend, Buffer, Instruction, Loaded, Timing } from './instruction.ts';
import { formatMemory } from '../machine-memory.ts';
import { checkMachineMemory, EngineMemoryError } from './memory.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { signatures, type KernelName, type Role } from './signatures.ts';
import { checkBackend } from './try-kernel.ts';
import { startWorkers, type WorkerSource } from './workers.ts';

/** The kernels' builds, fastest first; what each is, scripts/micro-kernels.js says. */
export const variants = ['revectorize', 'relaxed', 'simd'] as const;
export type Variant = (typeof variants)[number];

export interface WasmOptions {
  /** At most, 1 … 64; default: the cores this process may use. Fewer run while other programs take cores. */
  readonly threads?: number;
  /** How many of them take part in the next run of a program; default: as ActiveThreads finds fastest. */
  readonly activeThreads?: () => number;
  /** Where worker threads come from. */
  readonly workers?: WorkerSource;
  /** Only this build, instead of the fastest that works. */
  readonly variant?: Variant;
  /** Measure what each instruction takes, see Loaded.timings; costs well under a microsecond an instruction. */
  readonly profile?: boolean;
}

/** Why a faster build was passed over: for `gpt doctor` and --verbose. */
export interface Rejection {
  readonly variant: Variant;
  readonly reason: string;
}

export interface WasmBackend extends Backend {
  readonly variant: Variant;
  readonly rejected: readonly Rejection[];
}

export const MAX_THREADS = 64;
/** The cores this process may use. */
export const defaultThreads = (): number => Math.min(availableParallelism(), MAX_THREADS);

/** What a profiled instruction keeps for each thread: three float64 numbers (src/kernels/main.ts). */
const TIME_BYTES = 24;
/** The control word that says how often a waiting thread looks before it sleeps (src/kernels/threads.ts). */
const SPINS = 1216;

interface Kernels {
  run(from: number, to: number, threads: number, times: number, stride: number): void;
  lateness(): number;
  hasFailed(): number;
  stop(): void;
  fusesMultiplyAdd(a: number, c: number): number;
}

/** No build of the kernels works on this machine; `rejected` says why not. */
export class NoWasmError extends Error {
  override readonly name = 'NoWasmError';
  readonly rejected: readonly Rejection[];
  constructor(rejected: readonly Rejection[]) {
    super(rejected.map(({ variant, reason }) => `${variant}: ${reason}`).join('; '));
    this.rejected = rejected;
  }
}

/**
 * The fast backend: SIMD kernels in WebAssembly, on memory shared by worker threads. Tries the builds from the fastest on,
 * and takes the first that this JavaScript engine compiles and that agrees with the reference on every kernel.
 *
 * @throws NoWasmError if none works
 */
export async function createWasmBackend(options: WasmOptions = {}): Promise<WasmBackend> {
  const threads = options.threads ?? defaultThreads();
  const rejected: Rejection[] = [];
  enableFastModes();
  for (const variant of options.variant === undefined ? variants : [options.variant]) {
    try {
      const unsuited =
        options.variant === undefined && variant === 'revectorize' ? whyNoWideVectors() : undefined;
      if (unsuited !== undefined) {
        rejected.push({ variant, reason: unsuited });
        continue;
      }
      const backend = await startBackend(variant, threads, rejected, options);
      const wrong = checkBackend(backend, createReferenceBackend('float32'));
      if (wrong === undefined) {
        backend.floats.fill(0); // what the check left behind
        return backend;
      }
      await backend.close();
      rejected.push({ variant, reason: `gives wrong results here: ${wrong}` });
    } catch (error) {
      rejected.push({ variant, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new NoWasmError(rejected);
}

const nodeMajor = Number(process.versions.node.split('.')[0]);

/**
 * Why this machine or its Node cannot make 256-bit operations of pairs of 128-bit ones, or undefined if it can. The build
 * for it would run all the same, but with more values than registers.
 */
function whyNoWideVectors(): string | undefined {
  if (process.arch !== 'x64') return `it needs 256-bit vectors, which ${process.arch} does not have`;
  if (nodeMajor < 24) return `it needs Node 24 or newer; this is ${process.versions.node}`;
  const memory = new WebAssembly.Memory({ initial: 32, maximum: MAX_PAGES, shared: true });
  const kernels = instantiate(readModule('relaxed'), memory);
  if (!kernels.fusesMultiplyAdd(1 + 2 ** -12, -1 - 2 ** -11)) return 'it needs a processor with AVX2 and FMA';
  return undefined;
}

const readModule = (variant: Variant): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(new URL(`../../dist/kernels/${variant}.wasm`, import.meta.url)));

/** A V8 switch, for modules compiled from now on. Before Node 24 it makes them slower. */
function enableFastModes(): void {
  if (nodeMajor >= 24) setFlagsFromString('--experimental-wasm-revectorize');
}

const someBytes = new Uint8Array(64);

/**
 * V8's 256-bit operations leave the upper halves of vector registers in use. From then on every SSE instruction of compiled
 * C++, as in Math.exp, waits for the one before it: the exponentials of 65 logits took 10 µs instead of 0.5. AVX code that
 * a compiler made ends with VZEROUPPER, and simdutf, which Node asks about text, is such code; the question takes 30 ns.
 */
const leaveWideVectors = (): void => void isAscii(someBytes);

async function startBackend(
  variant: Variant,
  wanted: number,
  rejected: Rejection[],
  { profile = false, activeThreads, workers: source }: WasmOptions,
): Promise<WasmBackend> {
  const module = readModule(variant);
  const programBase = programsStart(wanted);
  const engineBase = engineStart(wanted);
  const memory = new WebAssembly.Memory({ initial: engineBase / PAGE, maximum: MAX_PAGES, shared: true });
  const kernels = instantiate(module, memory);
  const { workers, shortfall } = await startWorkers({ module, memory }, wanted - 1, source);
  const threads = workers.length + 1;
  const active = new ActiveThreads(threads);
  const setSpins = spinsOf(memory);

  let programEnd = programBase;
  let floats = new Float32Array(memory.buffer, engineBase);
  let ints = new Int32Array(memory.buffer, engineBase);
  return {
    name: `wasm ${variant}, ${threads} thread${threads === 1 ? '' : 's'}`,
    variant,
    rejected,
    threads,
    get activeThreads() {
      return active.settled;
    },
    shortfall,
    get floats() {
      return floats;
    },
    get ints() {
      return ints;
    },
    reserve(elements) {
      const bytes = engineBase + 4 * elements;
      if (bytes <= memory.buffer.byteLength) return;
      grow(memory, bytes, engineBase);
      floats = new Float32Array(memory.buffer, engineBase);
      ints = new Int32Array(memory.buffer, engineBase);
    },
    load(program): Loaded {
      for (const instruction of program) checkScratch(instruction);
      const { words, starts } = encode(program, engineBase);
      const base = programEnd;
      // Three float64 numbers an instruction and thread: milliseconds in all, of waiting, and runs.
      const times = profile ? Math.ceil((base + 4 * words.length) / 8) * 8 : 0;
      const stride = TIME_BYTES * program.length;
      const end = profile ? times + stride * threads : base + 4 * words.length;
      if (end > engineBase) throw new Error('the programs do not fit their memory');
      new Int32Array(memory.buffer, base).set(words);
      programEnd = Math.ceil(end / 4) * 4;
      const whole = new Pace();
      const stretches = new Map<number, Pace>();
      const paceOf = (from: number, to: number): Pace => {
        if (from === 0 && to === program.length) return whole;
        const key = from * (program.length + 1) + to;
        const pace = stretches.get(key) ?? new Pace();
        stretches.set(key, pace);
        return pace;
      };
      const run: Loaded['run'] = (from = 0, to = program.length) => {
        const firstTimes = profile ? times + TIME_BYTES * from : 0;
        const count = activeThreads?.() ?? active.count;
        setSpins(count);
        const start = threads > 1 ? performance.now() : 0;
        runKernels(kernels, base + 4 * starts[from], base + 4 * starts[to], count, firstTimes, stride);
        leaveWideVectors();
        if (threads > 1)
          active.record(paceOf(from, to), (performance.now() - start) / 1000, kernels.lateness() / 1000);
      };
      return profile ? { run, timings: () => readTimes(memory, program, times, threads) } : { run };
    },
    clear() {
      programEnd = programBase;
      floats.fill(0);
    },
    async close() {
      kernels.stop();
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory }, host: { now: () => performance.now() } })
    .exports as unknown as Kernels;
}

function readTimes(
  memory: WebAssembly.Memory,
  program: readonly Instruction[],
  at: number,
  threads: number,
): Timing[] {
  const times = new Float64Array(memory.buffer, at, 3 * program.length * threads);
  return program.map((instruction, i) => {
    let waited = 0;
    for (let thread = 0; thread < threads; thread++) waited += times[3 * (thread * program.length + i) + 1];
    return {
      instruction,
      runs: times[3 * i + 2],
      seconds: times[3 * i] / 1000,
      waited: waited / threads / 1000,
    };
  });
}

/**
 * Spin-wait iterations for a number of threads: about 0.1 ms, longer than the main thread takes between two programs, when it
 * samples a token, say. (With a fifth of that, threads slept between tokens and two wrote nano's text at a third of this
 * speed.) More threads than cores would keep each other from running by spinning: they sleep at once.
 */
function spinsOf(memory: WebAssembly.Memory): (count: number) => void {
  const words = new Int32Array(memory.buffer, 0, PAGE / 4);
  const cores = availableParallelism();
  return (count) => {
    const spins = count <= cores ? 100_000 : 0;
    // Not written again and again: that would take the cache line from the threads that read it at every barrier.
    if (words[SPINS / 4] !== spins) words[SPINS / 4] = spins;
  };
}

/** @throws Error if a kernel traps, in this thread or in a worker, which the others would wait for at the next barrier */
function runKernels(kernels: Kernels, ...job: Parameters<Kernels['run']>): void {
  try {
    kernels.run(...job);
  } catch (cause) {
    throw kernels.hasFailed() ? new Error('a kernel failed in a worker thread', { cause }) : cause;
  }
}

function grow(memory: WebAssembly.Memory, bytes: number, base: number): void {
  const pages = Math.ceil(bytes / PAGE);
  if (pages > MAX_PAGES)
    throw new EngineMemoryError(
      `this needs ${formatMemory(bytes - base)} of memory; the engine can address ${formatMemory(MAX_PAGES * PAGE - base)}`,
      { hint: 'use a smaller model' },
    );
  checkMachineMemory(bytes - base);
  try {
    memory.grow(pages - memory.buffer.byteLength / PAGE);
  } catch (cause) {
    throw new EngineMemoryError(`the system has no ${formatMemory(bytes - base)} of memory for this`, {
      hint: 'close other programs or use a smaller model',
      cause,
    });
  }
}

/**
 * A thread of attention keeps three matrices of a head, packed, and two blocks of T rows in its working memory
 * (src/kernels/attention/backward.ts).
 */
function checkScratch({ kernel, args }: Instruction): void {
  if (kernel !== 'attention' && kernel !== 'attentionBackward') return;
  const { T, D } = args;
  const bytes = 16_384 + 192 * (T + 2) * Math.ceil(D / 16) + 648 * (T + 8) + 128 * D;
  if (bytes <= THREAD_SCRATCH) return;
  throw new EngineMemoryError(
    `attention over ${T} positions, with heads of ${D} channels, needs ${(bytes / 1e6).toFixed(1)} MB a thread; there are ${(THREAD_SCRATCH / 1e6).toFixed(1)}`,
    { hint: 'use a smaller --block-size' },
  );
}

const opcodes = new Map(Object.keys(signatures).map((kernel, opcode) => [kernel as KernelName, opcode]));

/** Instructions as 32-bit words, as the generated dispatcher reads them; `starts` says where each begins, and the end. */
function encode(
  program: readonly Instruction[],
  engineBase: number,
): { words: Int32Array; starts: number[] } {
  const words: number[] = [];
  const starts: number[] = [];
  const bits = new DataView(new ArrayBuffer(4));
  for (const { kernel, args } of program) {
    starts.push(words.length);
    words.push(opcodes.get(kernel)!);
    for (const [name, role] of Object.entries<Role>(signatures[kernel])) {
      const arg = (args as Record<string, Buffer | number | null>)[name];
      if (typeof arg === 'number') {
        if (role === 'scalar') {
          bits.setFloat32(0, arg);
          words.push(bits.getInt32(0));
        } else words.push(arg);
      } else {
        words.push(arg === null ? 0 : engineBase + 4 * arg.offset);
        if (role === 'accumulate') words.push(arg?.accumulate === true ? 1 : 0);
      }
    }
  }
  starts.push(words.length);
  return { words: Int32Array.from(words, (word) => word | 0), starts };
}
