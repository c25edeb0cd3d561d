/**
 * The part of the WebGPU API (W3C, "WebGPU") that the backend uses. Node has no types of it, and those of the browser's
 * library would bring the whole DOM into scope.
 */

export interface Gpu {
  requestAdapter(options?: { readonly powerPreference?: 'high-performance' }): Promise<GpuAdapter | null>;
}

export interface GpuAdapter {
  readonly info: GpuAdapterInfo;
  readonly features: Pick<ReadonlySet<string>, 'has'>;
  readonly limits: GpuLimits;
  requestDevice(descriptor?: {
    readonly requiredLimits?: Partial<GpuLimits>;
    readonly requiredFeatures?: readonly string[];
  }): Promise<GpuDevice>;
}

export interface GpuAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** Invocations of a subgroup. */
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
  /** Of Dawn's experimental feature, see subgroup-matrices.ts: a product of [M,K] and [K,N]. */
  readonly subgroupMatrixConfigs?: readonly {
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }[];
}

/** In bytes, except for the number of workgroups. */
export interface GpuLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  readonly maxComputeWorkgroupStorageSize: number;
}

/** An error of validation, of memory, or within the GPU's driver; `constructor.name` tells them apart. */
export interface GpuError {
  readonly message: string;
}

export interface GpuDevice {
  readonly limits: GpuLimits;
  readonly queue: GpuQueue;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  onuncapturederror: ((event: { readonly error: GpuError }) => void) | null;
  createBuffer(descriptor: { readonly size: number; readonly usage: number }): GpuBuffer;
  /** Captures errors of a kind until the next `popErrorScope`, which resolves to the first of them. */
  pushErrorScope(filter: 'validation' | 'internal'): void;
  popErrorScope(): Promise<GpuError | null>;
  createShaderModule(descriptor: { readonly code: string }): object;
  createBindGroupLayout(descriptor: { readonly entries: readonly GpuLayoutEntry[] }): object;
  createPipelineLayout(descriptor: { readonly bindGroupLayouts: readonly object[] }): object;
  createBindGroup(descriptor: {
    readonly layout: object;
    readonly entries: readonly {
      readonly binding: number;
      readonly resource: { readonly buffer: GpuBuffer; readonly size?: number };
    }[];
  }): object;
  createComputePipeline(descriptor: GpuPipelineDescriptor): object;
  /** Rejects if it cannot be compiled. */
  createComputePipelineAsync(descriptor: GpuPipelineDescriptor): Promise<object>;
  createCommandEncoder(): GpuCommandEncoder;
  destroy(): void;
}

export interface GpuPipelineDescriptor {
  readonly layout: object;
  readonly compute: { readonly module: object; readonly entryPoint: string };
}

export interface GpuLayoutEntry {
  readonly binding: number;
  readonly visibility: number;
  readonly buffer: {
    readonly type: 'storage' | 'read-only-storage' | 'uniform';
    readonly hasDynamicOffset?: boolean;
  };
}

export interface GpuQueue {
  submit(commands: readonly object[]): void;
  writeBuffer(
    buffer: GpuBuffer,
    offset: number,
    data: ArrayBufferLike,
    dataOffset?: number,
    size?: number,
  ): void;
  onSubmittedWorkDone(): Promise<unknown>;
}

export interface GpuBuffer {
  readonly size: number;
  mapAsync(mode: number): Promise<unknown>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuCommandEncoder {
  beginComputePass(): GpuComputePass;
  copyBufferToBuffer(from: GpuBuffer, fromAt: number, to: GpuBuffer, toAt: number, size: number): void;
  clearBuffer(buffer: GpuBuffer, offset: number, size: number): void;
  finish(): object;
}

export interface GpuComputePass {
  setPipeline(pipeline: object): void;
  setBindGroup(index: number, group: object, dynamicOffsets: readonly number[]): void;
  dispatchWorkgroups(x: number, y: number, z: number): void;
  end(): void;
}

/** The feature of float16 arithmetic. */
export const FLOAT16 = 'shader-f16';
/** Flags of GPUBufferUsage. */
export const USAGE = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;
/** GPUMapMode.READ. */
export const MAP_READ = 1;
/** GPUShaderStage.COMPUTE. */
export const COMPUTE = 4;
