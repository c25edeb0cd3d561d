/**
 * The memory map of WebAssembly memory, in bytes: control words, static data of the kernels, their scratch memory, encoded
 * programs, then engine memory, the only part that grows. scripts/build-kernels.js generates constants for the kernels from it
 * (generated/constants.ts).
 */

export const CACHE_LINE = 64;
/** Maximum number of threads, for which the control words have room. */
export const MAX_THREADS = 64;

/**
 * Control words, by which threads communicate. Words written at different times are at least a cache line apart, so that a
 * store does not invalidate a line that other threads poll.
 */
export const CONTROL = {
  /** Number of threads asleep at a barrier or between jobs; if 0, nobody needs to be notified. */
  SLEEPERS: 1152,
  /** Spin-wait iterations before a thread sleeps; set by the host. */
  SPINS: 1216,
  /** The job that the main thread publishes: words on a single cache line. */
  JOB: 1280,
  JOB_FROM: 1284,
  JOB_TO: 1288,
  JOB_STOP: 1292,
  JOB_TIMES: 1296,
  JOB_TIMES_STRIDE: 1300,
  /** Number of barriers the main thread had passed when the job started. */
  JOB_BARRIERS: 1304,
  /** Number of active threads; parked threads sleep on it. */
  ACTIVE: 1408,
  /** 1 once a kernel has trapped: that thread will never reach another barrier. */
  FAILED: 1472,
  /** Written after each sleep, and never read; see `wait` in src/kernels/waiting.ts. */
  WAIT_RESULT: 1664,
  /** The barriers' flags: 8 for each thread, two cache lines apart. */
  FLAGS: 2 ** 16,
  /** The work-stealing counters: 8 for each thread, two cache lines apart. */
  CLAIMED: 2 ** 17,
  /** 1 while GEMM runs in machine code, on threads that have it (engine/native/); set by the host. */
  USE_NATIVE: 1536,
  /** Each thread's argument block for machine code, two cache lines apart. */
  NATIVE_BLOCKS: 3 * 2 ** 16,
  /** 1 while a BLAS library runs GEMM, in all threads (engine/native/blas.ts); set by the host. */
  USE_BLAS: 1600,
  /** Each thread's argument block for a BLAS library, two cache lines apart. */
  BLAS_BLOCKS: 3.5 * 2 ** 16,
  /** The stack trace of a kernel that has trapped in a worker, see failure.ts: its length in bytes, then its text. */
  FAILURE: 2048,
} as const;
/** Address of a thread's argument block for machine code. */
export const nativeBlock = (thread: number): number => CONTROL.NATIVE_BLOCKS + 2 * CACHE_LINE * thread;
/** Address of a thread's argument block for a BLAS library. */
export const blasBlock = (thread: number): number => CONTROL.BLAS_BLOCKS + 2 * CACHE_LINE * thread;
/** Static data of the kernels: tables of constants. */
export const STATIC_DATA = 4096;
/** Bytes for the stack trace of a trap. */
export const FAILURE_BYTES = STATIC_DATA - CONTROL.FAILURE - 4;

/** The opcode of the header in front of strands; see kernels/walk.ts. */
export const STRANDS = -1;

/** Profiling keeps three float64 numbers per instruction and thread: total milliseconds, milliseconds waited, runs. */
export const TIME_RECORD = 24;

export const SCRATCH_BASE = 2 ** 20;
/** Scratch memory shared by the threads: jointly packed operands, in two halves, or partial sums of GEMV and split-K. */
export const SHARED_SCRATCH = 6.5 * 2 ** 20;
/**
 * Scratch memory of each thread: its own packed blocks; in attention, a head and its strips; in a strand, also the operands that
 * are shared otherwise.
 */
export const THREAD_SCRATCH = 16 * 2 ** 20;
/** Memory for programs, about 70 bytes per instruction. The system commits only the pages used. */
const PROGRAM_BYTES = 32 * 2 ** 20;
export const PAGE = 2 ** 16;
export const MAX_PAGES = 2 ** 16;

/** Start of the programs. */
export const programsStart = (threads: number): number =>
  SCRATCH_BASE + SHARED_SCRATCH + threads * THREAD_SCRATCH;
/** Start of engine memory. */
export const engineStart = (threads: number): number => programsStart(threads) + PROGRAM_BYTES;
/** Maximum size of engine memory in bytes: the range of 32-bit addresses, less everything before it. */
export const addressableBytes = (threads: number): number => MAX_PAGES * PAGE - engineStart(threads);
