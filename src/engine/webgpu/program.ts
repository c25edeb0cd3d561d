/** A program's dispatches on the GPU: their pipelines, and one buffer with the arguments of all. */
import type { Loaded } from '../device.ts';
import type { Instruction } from '../instruction.ts';
import { ARGUMENT_BYTES, argumentStruct, argumentWords } from './arguments.ts';
import { workgroupsFor, type Dispatch, type GemmChoice } from './dispatch.ts';
import { USAGE, type GpuBuffer, type GpuComputePass, type GpuDevice } from './gpu.ts';
import { dispatchesOf } from './kernels.ts';
import { DECLARATIONS } from './wgsl.ts';

interface Encoded {
  readonly pipeline: object;
  readonly workgroups: readonly [number, number, number];
}

export interface GpuProgram {
  /** Buffers of its own: arguments and constants. */
  readonly argumentBuffer: GpuBuffer;
  readonly constants: GpuBuffer;
  /** Elements of scratch memory. */
  readonly scratch: number;
  /** Adds instructions `from` to `to` − 1 to a pass. */
  encode(pass: GpuComputePass, bindGroup: object, from: number, to: number): void;
}

/** Compiles the instructions of a program. @param pipelineOf compiles WGSL, each text once */
export function compileProgram(
  gpu: GpuDevice,
  program: readonly Instruction[],
  choice: GemmChoice,
  pipelineOf: (code: string) => object,
): GpuProgram {
  const constants: number[] = [];
  const constantAt = (numbers: Float32Array): number => {
    constants.push(...numbers);
    return constants.length - numbers.length;
  };
  const dispatches: Encoded[] = [];
  const blocks: Uint32Array[] = [];
  const starts: number[] = [];
  let scratch = 0;
  for (const instruction of program) {
    starts.push(dispatches.length);
    for (const dispatch of dispatchesOf(instruction, choice)) {
      const { kernel, args, workgroups, scratch: needed = 0 } = dispatch;
      blocks.push(argumentWords(kernel, args, constantAt));
      dispatches.push({
        pipeline: pipelineOf(moduleOf(dispatch)),
        workgroups: typeof workgroups === 'number' ? workgroupsFor(workgroups) : workgroups,
      });
      scratch = Math.max(scratch, needed);
    }
  }
  starts.push(dispatches.length);
  const words = new Uint32Array((Math.max(1, blocks.length) * ARGUMENT_BYTES) / 4);
  blocks.forEach((block, i) => words.set(block, (i * ARGUMENT_BYTES) / 4));
  return {
    argumentBuffer: filledBuffer(gpu, words, USAGE.uniform),
    constants: filledBuffer(gpu, Float32Array.from([...constants, 0, 0, 0, 0]), USAGE.storage),
    scratch,
    encode(pass, bindGroup, from, to) {
      for (let i = starts[from]; i < starts[to]; i++) {
        const { pipeline, workgroups } = dispatches[i];
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup, [i * ARGUMENT_BYTES]);
        pass.dispatchWorkgroups(...workgroups);
      }
    },
  };
}

/** The WGSL modules of a program. */
export const shadersOf = (program: readonly Instruction[], choice: GemmChoice): Set<string> =>
  new Set(program.flatMap((instruction) => dispatchesOf(instruction, choice)).map(moduleOf));

/** The whole WGSL module of a dispatch. */
const moduleOf = ({ kernel, shader, extensions = [], allowed = [] }: Dispatch): string =>
  [
    ...allowed.map((name) => `diagnostic(off, ${name});`),
    ...extensions.map((name) => `enable ${name};`),
    argumentStruct(kernel),
    DECLARATIONS,
    shader,
  ].join('\n');

function filledBuffer(gpu: GpuDevice, numbers: Uint32Array | Float32Array, usage: number): GpuBuffer {
  const buffer = gpu.createBuffer({ size: numbers.byteLength, usage: usage | USAGE.copyTarget });
  gpu.queue.writeBuffer(buffer, 0, numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return buffer;
}

/** A program as the device interface exposes it. */
export const loadedProgram = (length: number, submit: (from: number, to: number) => void): Loaded => ({
  submit(from = 0, to = length) {
    if (from < to) submit(from, to);
  },
});
