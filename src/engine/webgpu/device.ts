import type { Device, Loaded, NarrowNumbers, Numbers } from '../device.ts';
import { EngineMemoryError } from '../engine-memory-error.ts';
import type { Instruction } from '../instruction.ts';
import { UserError } from '../../errors.ts';
import { formatMemory } from '../../format-memory.ts';
import { optionValues } from '../../messages.ts';
import type { MatmulPrecision } from '../matmul-precision.ts';
import { ARGUMENT_BYTES } from './arguments.ts';
import { failureOf, lostDevice, onCpu, refusedToOpen } from './failures.ts';
import {
  COMPUTE,
  FLOAT16,
  MAP_READ,
  USAGE,
  type GpuAdapter,
  type GpuBuffer,
  type GpuCommandEncoder,
  type GpuDevice,
  type GpuLimits,
  type GpuPipelineDescriptor,
} from './gpu.ts';
import type { GemmChoice } from './dispatch.ts';
import { bufferLimit } from './limits.ts';
import { cutsOf, rangesBetween } from './command-buffers.ts';
import { compileProgram, loadedProgram, shadersOf, type GpuProgram } from './program.ts';
import { candidatesWith, matrixFeatures, matrixUnitOf } from './subgroup-matrices.ts';
import { CANDIDATES, matrixTilesMark, STANDARD_TILES, type Tile, type Tiles } from './tiles.ts';

/** Memory that is addressed by its elements. */
const ARENA = USAGE.storage | USAGE.copySource | USAGE.copyTarget;
/** Bytes that `copy` moves at a time, and `fill` writes. */
const CHUNK = 2 ** 24;
/** Milliseconds to wait for the cause of a failed map, which may be reported after the map's rejection. */
const REPORT_PATIENCE = 500;

/** 'webgpu acme gen-3' */
function nameOf({ info: { vendor, architecture, device, description } }: GpuAdapter): string {
  const parts = ['webgpu', vendor, device || architecture || description];
  const name = parts.filter((part) => part !== '').join(' ');
  return name.replace(/-$/, ''); // Dawn writes hyphens for other characters: 'subzero-' for '(Subzero)'
}

/** A loaded program, and the bind group that was made for the buffers of `generation`. */
interface Resident {
  readonly program: GpuProgram;
  group?: object;
  generation: number;
}

/**
 * A GPU, through WebGPU. Memory is one storage buffer; a program's instructions are dispatches in one command buffer. Only
 * `read` and `finish` wait for the GPU; they also report earlier failures.
 */
export class WebGpuDevice implements Device {
  readonly #name: string;
  readonly threads = 1;
  readonly activeThreads = 1;
  readonly isQueued = true;
  /** For programs that are loaded from now on. */
  tiles: Tiles = STANDARD_TILES;
  /** The tiles that may be chosen. */
  readonly candidates: readonly Tile[];
  readonly precision: MatmulPrecision;
  readonly #gpu: GpuDevice;
  readonly #limit: number;
  readonly #layout: object;
  readonly #pipelineLayout: object;
  readonly #pipelines = new Map<string, object>();
  readonly #programs = new Set<Resident>();
  #arena: GpuBuffer;
  #scratch: GpuBuffer;
  /** Changes whenever the arena or the scratch buffer is replaced. */
  #generation = 0;
  #size = 0;
  #failure: Error | undefined;
  /** Resolves once there is a failure. */
  readonly #failed = Promise.withResolvers<void>();
  #isClosed = false;

  private constructor(gpu: GpuDevice, name: string, precision: MatmulPrecision, candidates: readonly Tile[]) {
    this.#gpu = gpu;
    this.#name = name;
    this.precision = precision;
    this.candidates = candidates;
    this.#limit = bufferLimit(gpu.limits);
    this.#layout = gpu.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: COMPUTE, buffer: { type: 'storage' } },
        { binding: 1, visibility: COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
        { binding: 2, visibility: COMPUTE, buffer: { type: 'read-only-storage' } },
        { binding: 3, visibility: COMPUTE, buffer: { type: 'storage' } },
      ],
    });
    this.#pipelineLayout = gpu.createPipelineLayout({ bindGroupLayouts: [this.#layout] });
    this.#arena = gpu.createBuffer({ size: 16, usage: ARENA });
    this.#scratch = gpu.createBuffer({ size: 16, usage: USAGE.storage });
    gpu.onuncapturederror = ({ error }) => this.#fail(this.#failure ?? failureOf(error));
    void gpu.lost.then(({ message }) => {
      if (!this.#isClosed) this.#fail(lostDevice(message));
    });
  }

  /**
   * Opens a GPU with the largest buffers that it allows.
   *
   * @param hasMatrices whether tiles of subgroup matrices are among the candidates, in float16 on a GPU that has them
   * @throws UserError if it cannot be opened, or lacks float16
   */
  static async open(
    adapter: GpuAdapter,
    precision: MatmulPrecision = 'float32',
    { hasMatrices = true } = {},
  ): Promise<WebGpuDevice> {
    const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
    const largest: Partial<GpuLimits> = { maxBufferSize, maxStorageBufferBindingSize };
    const name = nameOf(adapter);
    if (precision === 'float32') {
      const gpu = await adapter.requestDevice({ requiredLimits: largest }).catch(refusedToOpen);
      return new WebGpuDevice(gpu, name, precision, CANDIDATES);
    }
    if (!adapter.features.has(FLOAT16))
      throw new UserError('engine-unavailable', `${name} has no float16 arithmetic in WebGPU (${FLOAT16})`, {
        hint: `use ${optionValues({ matmulPrecision: 'float32' })}, or a newer driver`,
      });
    const unit = hasMatrices ? matrixUnitOf(adapter) : undefined;
    const gpu = await adapter
      .requestDevice({
        requiredLimits: { ...largest, maxComputeWorkgroupStorageSize },
        requiredFeatures: [FLOAT16, ...(unit === undefined ? [] : matrixFeatures)],
      })
      .catch(refusedToOpen);
    const candidates = candidatesWith(unit, maxComputeWorkgroupStorageSize);
    return new WebGpuDevice(gpu, `${name}, float16 GEMM`, precision, candidates);
  }

  /** With a mark of tiles that round differently from others: 'webgpu acme gen-3, float16 GEMM, matrix tiles 3f2a'. */
  get name(): string {
    const mark = matrixTilesMark(this.tiles);
    return mark === undefined ? this.#name : `${this.#name}, matrix tiles ${mark}`;
  }

  get size(): number {
    return this.#size;
  }

  reserve(elements: number): void {
    if (elements <= this.#size) return;
    if (4 * elements > this.#limit)
      throw new EngineMemoryError(
        `this needs ${formatMemory(4 * elements)} of GPU memory in one buffer; ${this.name} allows ${formatMemory(this.#limit)}`,
        { hint: `use a smaller model or batch, or ${onCpu}` },
      );
    const arena = this.#gpu.createBuffer({ size: 4 * elements, usage: ARENA });
    const old = this.#arena;
    if (this.#size > 0) this.#command((to) => to.copyBufferToBuffer(old, 0, arena, 0, 4 * this.#size));
    old.destroy();
    this.#arena = arena;
    this.#size = elements;
    this.#generation++;
  }

  write(offset: number, numbers: Numbers | NarrowNumbers): void {
    const { buffer, byteOffset, byteLength } =
      numbers instanceof Float64Array ? Float32Array.from(numbers) : numbers;
    const whole = byteLength - (byteLength % 4);
    if (whole > 0) this.#gpu.queue.writeBuffer(this.#arena, 4 * offset, buffer, byteOffset, whole);
    if (whole === byteLength) return;
    const last = new Uint8Array(4); // the rest of an element is not used
    last.set(new Uint8Array(buffer, byteOffset + whole, byteLength - whole));
    this.#gpu.queue.writeBuffer(this.#arena, 4 * offset + whole, last.buffer);
  }

  fill(offset: number, length: number, value: number): void {
    if (length === 0) return;
    if (value === 0) {
      this.#command((to) => to.clearBuffer(this.#arena, 4 * offset, 4 * length));
      return;
    }
    const numbers = new Float32Array(Math.min(length, CHUNK / 4)).fill(value);
    for (let done = 0; done < length; done += numbers.length)
      this.write(offset + done, numbers.subarray(0, length - done));
  }

  /** WebGPU does not copy within a buffer: chunks go through another one, in the order that an overlap requires. */
  copy(from: number, to: number, length: number): void {
    if (length === 0 || from === to) return;
    const step = Math.min(length, CHUNK / 4);
    const between = this.#gpu.createBuffer({ size: 4 * step, usage: USAGE.copySource | USAGE.copyTarget });
    const starts = Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
    this.#command((encoder) => {
      for (const start of to > from ? starts.toReversed() : starts) {
        const bytes = 4 * Math.min(step, length - start);
        encoder.copyBufferToBuffer(this.#arena, 4 * (from + start), between, 0, bytes);
        encoder.copyBufferToBuffer(between, 0, this.#arena, 4 * (to + start), bytes);
      }
    });
    between.destroy();
  }

  async read<T extends Numbers>(offset: number, into: T): Promise<T> {
    if (into.length === 0) {
      await this.finish();
      return into;
    }
    const size = 4 * into.length;
    const staging = this.#gpu.createBuffer({ size, usage: USAGE.mapRead | USAGE.copyTarget });
    this.#command((to) => to.copyBufferToBuffer(this.#arena, 4 * offset, staging, 0, size));
    try {
      await staging.mapAsync(MAP_READ);
    } catch (error) {
      await this.#waitForReport();
      this.#check();
      throw lostDevice(error instanceof Error ? error.message : String(error));
    }
    this.#check();
    const bytes = staging.getMappedRange();
    into.set(into instanceof Int32Array ? new Int32Array(bytes) : new Float32Array(bytes));
    staging.unmap();
    staging.destroy();
    return into;
  }

  load(instructions: readonly Instruction[]): Loaded {
    const program = compileProgram(this.#gpu, instructions, this.#choice, (code) => this.#pipelineOf(code));
    if (4 * program.scratch > this.#scratch.size) {
      this.#scratch.destroy();
      this.#scratch = this.#gpu.createBuffer({ size: 4 * program.scratch, usage: USAGE.storage });
      this.#generation++;
    }
    const resident: Resident = { program, generation: -1 };
    this.#programs.add(resident);
    const cuts = cutsOf(instructions);
    return loadedProgram(instructions.length, (from, to) => {
      for (const range of rangesBetween(from, to, cuts))
        this.#command((encoder) => {
          const pass = encoder.beginComputePass();
          program.encode(pass, this.#bindGroupOf(resident), ...range);
          pass.end();
        });
    });
  }

  async compile(instructions: readonly Instruction[]): Promise<boolean> {
    for (const code of shadersOf(instructions, this.#choice)) {
      if (this.#pipelines.has(code)) continue;
      this.#gpu.pushErrorScope('validation');
      const descriptor = this.#pipelineDescriptor(code);
      const refused = this.#gpu.popErrorScope();
      // A rejection belongs to no error scope.
      const pipeline = await this.#gpu.createComputePipelineAsync(descriptor).catch(() => undefined);
      if ((await refused) !== null || pipeline === undefined) return false;
      this.#pipelines.set(code, pipeline);
    }
    return true;
  }

  async finish(): Promise<void> {
    await this.#gpu.queue.onSubmittedWorkDone();
    this.#check();
  }

  clear(): void {
    for (const { program } of this.#programs) {
      program.argumentBuffer.destroy();
      program.constants.destroy();
    }
    this.#programs.clear();
    this.fill(0, this.#size, 0);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#gpu.destroy();
    return Promise.resolve();
  }

  #command(record: (encoder: GpuCommandEncoder) => void): void {
    const encoder = this.#gpu.createCommandEncoder();
    record(encoder);
    this.#gpu.queue.submit([encoder.finish()]);
  }

  #fail(failure: Error): void {
    this.#failure = failure;
    this.#failed.resolve();
  }

  /** Waits for a failure to be reported, at most REPORT_PATIENCE. */
  async #waitForReport(): Promise<void> {
    if (this.#isClosed) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, REPORT_PATIENCE)));
    await Promise.race([this.#failed.promise, patience]);
    clearTimeout(timer);
  }

  /** Throws what has gone wrong so far. A lost device stays lost. */
  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #pipelineOf(code: string): object {
    let pipeline = this.#pipelines.get(code);
    if (pipeline === undefined) {
      pipeline = this.#gpu.createComputePipeline(this.#pipelineDescriptor(code));
      this.#pipelines.set(code, pipeline);
    }
    return pipeline;
  }

  #pipelineDescriptor(code: string): GpuPipelineDescriptor {
    const compute = { module: this.#gpu.createShaderModule({ code }), entryPoint: 'main' };
    return { layout: this.#pipelineLayout, compute };
  }

  get #choice(): GemmChoice {
    return { tiles: this.tiles, precision: this.precision };
  }

  #bindGroupOf(resident: Resident): object {
    if (resident.group !== undefined && resident.generation === this.#generation) return resident.group;
    const { argumentBuffer, constants } = resident.program;
    resident.generation = this.#generation;
    resident.group = this.#gpu.createBindGroup({
      layout: this.#layout,
      entries: [
        { binding: 0, resource: { buffer: this.#arena } },
        { binding: 1, resource: { buffer: argumentBuffer, size: ARGUMENT_BYTES } },
        { binding: 2, resource: { buffer: constants } },
        { binding: 3, resource: { buffer: this.#scratch } },
      ],
    });
    return resident.group;
  }
}
