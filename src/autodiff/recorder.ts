/** Records a forward pass: ops emit their kernels and keep their backward rules for `differentiate`. */
import type { Region } from '../engine/memory.ts';
import { isBuffer, strides, type KernelArguments, type KernelName } from '../engine/signatures.ts';
import { reads, size, writes, type GraphNode, type PlacedValue, type Value } from './graph.ts';

/**
 * An op of the model: `forward` records its kernels, `backward` those of its derivative, which may use what `forward` saved.
 * Both are required, so an op without a derivative is a compile error.
 */
export interface Op<Arguments extends readonly unknown[], Saved> {
  forward(record: Recorder, ...args: Arguments): { readonly out: Value; readonly saved: Saved };
  backward(gradients: Gradients, dOut: Value, saved: Saved): void;
}

export const defineOp = <Arguments extends readonly unknown[], Saved>(
  op: Op<Arguments, Saved>,
): Op<Arguments, Saved> => op;

/** An op call, for the backward pass. */
interface TapeEntry {
  readonly out: Value;
  readonly label: string;
  readonly backward: (gradients: Gradients, dOut: Value) => void;
}

/** Passed to a backward rule to record the derivative. */
export interface Gradients {
  /** Records a kernel that writes, or adds to, the gradient of x. Does nothing if x depends on no parameter. */
  add(x: Value, emit: (dX: Value) => void, marks?: Pick<Value, 'isOfLogits'>): void;
  /**
   * As `add`, for operands whose gradients are computed by one kernel. Views of a value become views of its gradient, which
   * the kernel writes as a whole, so the views must cover the value.
   */
  addTogether(xs: readonly Value[], emit: (dXs: Value[]) => void): void;
  /** Adds dOut itself to the gradient of x: no kernel if it is the first contribution. */
  pass(x: Value, dOut: Value): void;
  emit<K extends KernelName>(kernel: K, args: KernelArguments<K, Value>): void;
  /** An operand saved from the forward pass, or recomputed if that is cheap. */
  operand(x: Value): Value;
  /** A scratch value for a derivative that is not the gradient of a value. */
  local(shape: readonly number[]): Value;
}

/** Cheap values of at least this size, in bytes, are recomputed in the backward pass: twice a core's L2 cache. */
const RECOMPUTED_BYTES = 2 ** 21;

/** Collects graph nodes in execution order. Ops record through it; models use the `Tape` built on it. */
export class Recorder {
  readonly nodes: GraphNode[] = [];
  readonly entries: TapeEntry[] = [];
  /** Values that are cheap to recompute, and how. */
  readonly #cheap = new Map<Value, () => Value>();
  #label = '';
  #strand: number | undefined;
  #strands = 0;

  /** A value in fixed memory: a parameter, an input or optimizer state. */
  external(name: string, shape: readonly number[], region: Region, needsGradient = false): PlacedValue {
    return { name, shape, dtype: region.dtype, region, base: undefined, needsGradient };
  }

  /** A value for the planner to place: an activation. */
  local(shape: readonly number[], name = this.#label): Value {
    return { name, shape, dtype: 'f32', region: undefined, base: undefined, needsGradient: false };
  }

  /** Labels everything recorded in `body`; nested labels are joined with dots. */
  scope<T>(label: string, body: () => T): T {
    const outer = this.#label;
    this.#label = outer === '' ? label : `${outer}.${label}`;
    try {
      return body();
    } finally {
      this.#label = outer;
    }
  }

  /** Makes everything recorded in `body` a strand; see Instruction. */
  strand(body: () => void): void {
    if (this.#strand !== undefined) throw new Error('a strand within a strand');
    this.#strand = this.#strands++;
    try {
      body();
    } finally {
      this.#strand = undefined;
    }
  }

  /** Records one kernel call. Its results need gradients if any of its operands does. */
  emit<K extends KernelName>(kernel: K, args: KernelArguments<K, Value>): void {
    const node: GraphNode = { kernel, args, label: this.#label, strand: this.#strand };
    checkViews(node);
    const needsGradient = reads(node).some((value) => value.needsGradient);
    for (const value of writes(node)) value.needsGradient ||= needsGradient;
    this.nodes.push(node);
  }

  /**
   * Allows the backward pass to recompute x by `again` instead of keeping it. This pays off where x exceeds the caches, since
   * loading it from memory takes as long; it halves the activations of an MLP.
   */
  mayRecompute(x: Value, again: () => Value): void {
    if (4 * size(x) >= RECOMPUTED_BYTES) this.#cheap.set(x, again);
  }

  /** x, or a recomputed copy. */
  recompute(x: Value): Value {
    return this.#cheap.get(x)?.() ?? x;
  }

  /** Records an op's forward pass and keeps its backward rule for `differentiate`. */
  apply<Arguments extends readonly unknown[], Saved>(op: Op<Arguments, Saved>, ...args: Arguments): Value {
    const { out, saved } = op.forward(this, ...args);
    this.entries.push({
      out,
      label: this.#label,
      backward: (gradients, dOut) => op.backward(gradients, dOut, saved),
    });
    return out;
  }
}

/** @throws Error if a view is passed to a parameter that is read as contiguous */
function checkViews({ kernel, args }: GraphNode): void {
  for (const [name, value] of Object.entries(args))
    if (isBuffer(value) && value.view !== undefined && !(name in (strides[kernel] ?? {})))
      throw new Error(`${kernel}: ${name} cannot be a view of '${value.name}'`);
}
