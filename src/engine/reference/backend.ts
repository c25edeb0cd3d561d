/** The reference device: runs a program instruction by instruction, each kernel as plain loops. */
import type { Device, Floats, Numbers } from '../device.ts';
import type { Buffer, Instruction } from '../instruction.ts';
import { checkMachineMemory } from '../check-machine-memory.ts';
import { bytesOf } from '../memory.ts';
import { widened } from '../../half-precision.ts';
import { fromQ8 } from '../q8.ts';
import {
  isBuffer,
  signatures,
  type Argument,
  type KernelName,
  type NarrowStorage,
  type Role,
} from '../signatures.ts';
import * as attention from './attention.ts';
import * as elementwise from './elementwise.ts';
import * as embedding from './embedding.ts';
import * as geluErf from './gelu-erf.ts';
import * as loss from './loss.ts';
import * as matrix from './matrix.ts';
import * as movingAverage from './moving-average.ts';
import * as normalization from './normalization.ts';
import * as optimizer from './optimizer.ts';
import * as rotary from './rotary.ts';
import * as scale from './scale.ts';
import type { ReferenceKernel } from './view.ts';

/** Every kernel as plain loops, written to be read; each file exports its own. A missing one is a compile error. */
const kernels: { readonly [K in KernelName]: ReferenceKernel<K> } = {
  ...attention,
  ...elementwise,
  ...embedding,
  ...geluErf,
  ...loss,
  ...matrix,
  ...movingAverage,
  ...normalization,
  ...optimizer,
  ...rotary,
  ...scale,
};

/**
 * The reference backend: one thread, plain TypeScript. In float64 it is the oracle of the gradient checks, in float32 that of
 * the SIMD kernels, and the fallback where WebAssembly SIMD is not available.
 */
export function createReferenceBackend(precision: 'float32' | 'float64' = 'float32'): Device {
  let floats: Floats = precision === 'float64' ? new Float64Array(0) : new Float32Array(0);
  let ints = precision === 'float64' ? new Int32Array(0) : new Int32Array(floats.buffer);
  const memoryOf = (numbers: Numbers): Floats | Int32Array => (numbers instanceof Int32Array ? ints : floats);
  return {
    name: `reference ${precision}`,
    threads: 1,
    activeThreads: 1,
    get size() {
      return floats.length;
    },
    reserve(elements) {
      if (elements <= floats.length) return;
      checkMachineMemory(floats.BYTES_PER_ELEMENT * elements);
      if (precision === 'float64') {
        const [oldFloats, oldInts] = [floats, ints];
        floats = new Float64Array(elements);
        ints = new Int32Array(elements); // an address space of its own, so that offsets mean the same as in float32
        floats.set(oldFloats);
        ints.set(oldInts);
      } else {
        const old = floats;
        floats = new Float32Array(elements);
        floats.set(old);
        ints = new Int32Array(floats.buffer);
      }
    },
    write(offset, numbers) {
      if (numbers instanceof Uint16Array || numbers instanceof Uint8Array) {
        const { buffer, byteOffset, byteLength } = numbers;
        new Uint8Array(ints.buffer, 4 * offset).set(new Uint8Array(buffer, byteOffset, byteLength));
      } else memoryOf(numbers).set(numbers, offset);
    },
    fill(offset, length, value) {
      floats.fill(value, offset, offset + length);
      if (precision === 'float64' && value === 0) ints.fill(0, offset, offset + length);
    },
    copy: (from, to, length) => void floats.copyWithin(to, from, from + length),
    read(offset, into) {
      into.set(memoryOf(into).subarray(offset, offset + into.length));
      return Promise.resolve(into);
    },
    load: (program) => ({
      submit(from = 0, to = program.length) {
        for (let i = from; i < to; i++) execute(program[i], floats, ints);
      },
    }),
    finish: () => Promise.resolve(),
    clear() {
      floats.fill(0);
      ints.fill(0);
    },
    close: () => Promise.resolve(),
  };
}

/** Weights of a narrow type as float32. */
function weightsAt(
  memory: ArrayBufferLike,
  { offset, length }: Pick<Buffer, 'offset' | 'length'>,
  storage: NarrowStorage,
): Float32Array {
  if (storage === 'q8') return fromQ8(new Uint8Array(memory, 4 * offset, bytesOf(length, 'q8')));
  return widened(new Uint16Array(memory, 4 * offset, length), storage);
}

function execute(instruction: Instruction, floats: Floats, ints: Int32Array): void {
  const args: Record<string, unknown> = {};
  for (const [name, role] of Object.entries<Role>(signatures[instruction.kernel])) {
    const arg = (instruction.args as Record<string, Argument<Buffer>>)[name];
    if (!isBuffer(arg)) args[name] = arg;
    else if (arg.storage !== undefined) args[name] = weightsAt(ints.buffer, arg, arg.storage);
    else {
      const isInteger = role === 'ids' || role === 'optionalIds';
      const data = (isInteger ? ints : floats).subarray(arg.offset, arg.offset + arg.length);
      args[name] = role === 'accumulate' ? { data, accumulate: arg.accumulate === true } : data;
    }
  }
  (kernels[instruction.kernel] as (args: unknown) => void)(args);
}
