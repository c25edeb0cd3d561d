import type { KernelArguments, KernelName, Role } from '../engine/signatures.ts';
import { signatures, WRITE_ROLES } from '../engine/signatures.ts';
import type { Region } from '../engine/memory.ts';

/** A tensor as the graph knows it: a name and a shape, no numbers. Each is written once (single assignment). */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'f32' | 'i32';
  /** Where it lives, for parameters, gradients, inputs and state. Absent: the planner finds a place. */
  readonly region: Region | undefined;
  /** Set on a gradient that adds to an earlier sum: this value is `base` plus what its kernel computes. */
  readonly base: Value | undefined;
  /** Whether any parameter lies upstream, so that a derivative is wanted. */
  needsGradient: boolean;
}

/** One kernel call on values: what an Instruction is before memory is planned. */
export interface GraphNode {
  readonly kernel: KernelName;
  readonly args: Readonly<Record<string, Value | number | null>>;
  /** Where in the model it was recorded: 'h.0.attn.c_attn', with ' backward' behind it on derivatives. */
  readonly label: string;
}

/**
 * An operation of the model: how to record its forward kernels, and which kernels give its derivative.
 * `saved` is whatever backward needs from forward. Both are required: an op without a derivative does not compile.
 */
export interface Op<Arguments extends readonly unknown[], Saved> {
  forward(record: Recorder, ...args: Arguments): { readonly out: Value; readonly saved: Saved };
  backward(gradients: Gradients, dOut: Value, saved: Saved): void;
}

export const defineOp = <Arguments extends readonly unknown[], Saved>(
  op: Op<Arguments, Saved>,
): Op<Arguments, Saved> => op;

/** An op call remembered for the way back. */
interface TapeEntry {
  readonly out: Value;
  readonly label: string;
  readonly backward: (gradients: Gradients, dOut: Value) => void;
}

export const size = (value: Value): number => value.shape.reduce((a, b) => a * b, 1);

/** Rows and columns of a tensor seen as a matrix: all leading axes are rows. */
export function asMatrix(value: Value): { rows: number; columns: number } {
  const columns = value.shape.at(-1) ?? 1;
  return { rows: size(value) / columns, columns };
}

/** From this size on a cheap value is computed anew in backward: twice a core's second-level cache. */
const RECOMPUTED_BYTES = 2 ** 21;

/** Collects graph nodes in execution order. Ops record through it; models use the `Tape` built on it. */
export class Recorder {
  readonly nodes: GraphNode[] = [];
  readonly entries: TapeEntry[] = [];
  /** Values that cost little to compute once more, and how. */
  readonly #cheap = new Map<Value, () => Value>();
  #label = '';

  /** A value that lives at a fixed place: a parameter, an input, a piece of state. */
  external(name: string, shape: readonly number[], region: Region, needsGradient = false): Value {
    return { name, shape, dtype: region.dtype, region, base: undefined, needsGradient };
  }

  /** A value for the planner to place: an activation. */
  local(shape: readonly number[], name = this.#label): Value {
    return { name, shape, dtype: 'f32', region: undefined, base: undefined, needsGradient: false };
  }

  /** Everything recorded inside carries this label, joined to the outer one with a dot. */
  scope<T>(label: string, body: () => T): T {
    const outer = this.#label;
    this.#label = outer === '' ? label : `${outer}.${label}`;
    try {
      return body();
    } finally {
      this.#label = outer;
    }
  }

  /** Records one kernel call. What it writes needs a gradient if anything it reads does. */
  emit<K extends KernelName>(kernel: K, args: KernelArguments<K, Value>): void {
    const node: GraphNode = { kernel, args, label: this.#label };
    const needsGradient = reads(node).some((value) => value.needsGradient);
    for (const value of writes(node)) value.needsGradient ||= needsGradient;
    this.nodes.push(node);
  }

  /**
   * Says that backward may compute x anew instead of keeping it, as `again` records it. Worth it where x is so large that
   * fetching it from memory takes as long; it halves what an MLP keeps.
   */
  mayRecompute(x: Value, again: () => Value): void {
    if (4 * size(x) >= RECOMPUTED_BYTES) this.#cheap.set(x, again);
  }

  /** x, or the same numbers computed anew. */
  recompute(x: Value): Value {
    return this.#cheap.get(x)?.() ?? x;
  }

  /** Runs an op's forward and remembers its derivative. */
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

/**
 * Reverse-mode differentiation: the sums of derivatives known so far, one per value. Ops' backward rules add to it.
 * Contributions are single-assignment like everything else; the planner turns a chain of sums into one buffer.
 */
export class Gradients {
  readonly #record: Recorder;
  readonly #sums = new Map<Value, Value>();
  /** Where the gradients of parameters go. */
  readonly #regions: ReadonlyMap<Value, Region>;

  constructor(record: Recorder, regions: ReadonlyMap<Value, Region>) {
    this.#record = record;
    this.#regions = regions;
  }

  /** The derivative collected for x; undefined if nothing flowed there. */
  of(x: Value): Value | undefined {
    return this.#sums.get(x);
  }

  /** Starts from dX as the derivative of x. */
  seed(x: Value, dX: Value): void {
    this.#sums.set(x, dX);
  }

  /** Records a kernel that writes, or adds to, the gradient of x. Does nothing where none is wanted. */
  add(x: Value, emit: (dX: Value) => void): void {
    if (!x.needsGradient) return;
    const dX: Value = {
      name: `d ${x.name}`,
      shape: x.shape,
      dtype: 'f32',
      region: this.#regions.get(x),
      base: this.#sums.get(x),
      needsGradient: false,
    };
    emit(dX);
    this.#sums.set(x, dX);
  }

  /** The gradient of x is that of the op's result, unchanged: no kernel if it is the first contribution. */
  pass(x: Value, dOut: Value): void {
    if (!x.needsGradient) return;
    if (this.#sums.has(x) || this.#regions.has(x))
      this.add(x, (dX) => this.emit('copy', { x: dOut, y: dX, n: size(x) }));
    else this.#sums.set(x, dOut);
  }

  emit<K extends KernelName>(kernel: K, args: KernelArguments<K, Value>): void {
    this.#record.emit(kernel, args);
  }

  /** An operand of forward, for a rule that needs all of it; what is cheap is computed anew, so that it need not be kept. */
  operand(x: Value): Value {
    return this.#record.recompute(x);
  }

  /** A scratch value for a derivative that is no value's gradient itself. */
  local(shape: readonly number[]): Value {
    return this.#record.local(shape);
  }
}

/**
 * Appends the backward pass of everything recorded: the tape is walked once from its end, and each op whose result
 * has a gradient records the kernels of its derivative.
 *
 * @param dLoss the derivative to start from, of `loss`'s shape
 * @param regions where each parameter's gradient goes; overwritten
 */
export function differentiate(
  record: Recorder,
  loss: Value,
  dLoss: Value,
  regions: ReadonlyMap<Value, Region>,
): Gradients {
  const gradients = new Gradients(record, regions);
  gradients.seed(loss, dLoss);
  for (const entry of record.entries.toReversed()) {
    const dOut = gradients.of(entry.out);
    if (dOut !== undefined) record.scope(`${entry.label} backward`, () => entry.backward(gradients, dOut));
  }
  return gradients;
}

const byRole = (node: GraphNode, roles: ReadonlySet<Role>): Value[] => {
  const found: Value[] = [];
  for (const [name, role] of Object.entries<Role>(signatures[node.kernel])) {
    const value = node.args[name];
    if (roles.has(role) && typeof value === 'object' && value !== null) found.push(value);
  }
  return found;
};
const READ_ROLES: ReadonlySet<Role> = new Set<Role>(['read', 'optional', 'update', 'ids']);

/** The values a node reads, including the sums that it adds to. */
export const reads = (node: GraphNode, baseOf = (value: Value): Value | undefined => value.base): Value[] => [
  ...byRole(node, READ_ROLES),
  ...writes(node).flatMap((value) => baseOf(value) ?? []),
];
/** The values a node writes. */
export const writes = (node: GraphNode): Value[] => byRole(node, WRITE_ROLES);
