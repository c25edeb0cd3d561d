import type { KernelArguments, KernelName, Role } from '../engine/signatures.ts';
import { signatures, strides, WRITE_ROLES } from '../engine/signatures.ts';
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
  /** Set on a view, which shows some channels of another value, from `first` on in each row, and has no memory of its own. */
  readonly view?: { readonly of: Value; readonly first: number };
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

export const size = (value: Pick<Value, 'shape'>): number => value.shape.reduce((a, b) => a * b, 1);

/** The value in whose memory this one is: itself, or what it is a view of. */
export const ownerOf = (value: Value): Value => value.view?.of ?? value;

/** A view of channels `first` … `first` + `count` − 1 of a value. Only parameters listed in `strides` can take one. */
export function channels(value: Value, first: number, count: number): Value {
  const of = ownerOf(value);
  const shape = [...value.shape.slice(0, -1), count];
  return {
    ...value,
    shape,
    region: undefined,
    base: undefined,
    view: { of, first: first + (value.view?.first ?? 0) },
  };
}

/** Views of a value's channels in `n` equal parts: queries, keys and values of a packed [B,T,3C]. */
export function splitChannels(value: Value, n: number): Value[] {
  const count = asMatrix(value).columns / n;
  return Array.from({ length: n }, (_, i) => channels(value, i * count, count));
}

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
    checkViews(node);
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
    const dX = this.#nextSum(x);
    emit(dX);
    this.#sums.set(x, dX);
  }

  /**
   * As `add`, for operands whose gradients one kernel computes together. Views of a value become views of its gradient: the
   * kernel writes all of it, so they must cover the value.
   */
  addTogether(xs: readonly Value[], emit: (dXs: Value[]) => void): void {
    const owners = [...new Set(xs.map(ownerOf))];
    if (!owners.some((value) => value.needsGradient)) return;
    const gradients = new Map(
      owners.map((value) => {
        checkCovered(value, xs);
        return [value, value.needsGradient ? this.#nextSum(value) : this.local(value.shape)];
      }),
    );
    emit(
      xs.map((x) => {
        const gradient = gradients.get(ownerOf(x))!;
        return x.view === undefined ? gradient : channels(gradient, x.view.first, asMatrix(x).columns);
      }),
    );
    for (const [value, gradient] of gradients) if (value.needsGradient) this.#sums.set(value, gradient);
  }

  /** The value that holds the gradient of x once the next contribution is in. */
  #nextSum(x: Value): Value {
    return {
      name: `d ${x.name}`,
      shape: x.shape,
      dtype: 'f32',
      region: this.#regions.get(x),
      base: this.#sums.get(x),
      needsGradient: false,
    };
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
    if (roles.has(role) && typeof value === 'object' && value !== null) found.push(ownerOf(value));
  }
  return found;
};
const READ_ROLES: ReadonlySet<Role> = new Set<Role>(['read', 'optional', 'update', 'ids', 'optionalIds']);

/** The values a node reads, including the sums that it adds to. */
export const reads = (node: GraphNode, baseOf = (value: Value): Value | undefined => value.base): Value[] => [
  ...byRole(node, READ_ROLES),
  ...writes(node).flatMap((value) => baseOf(value) ?? []),
];
/** The values a node writes, each once. */
export const writes = (node: GraphNode): Value[] => [...new Set(byRole(node, WRITE_ROLES))];

/** @throws Error if a view is passed to a parameter that is read as contiguous */
function checkViews({ kernel, args }: GraphNode): void {
  for (const [name, value] of Object.entries(args))
    if (typeof value === 'object' && value?.view !== undefined && !(name in (strides[kernel] ?? {})))
      throw new Error(`${kernel}: ${name} cannot be a view of '${value.name}'`);
}

/** @throws Error unless the views among `xs` show each channel of the value once */
function checkCovered(value: Value, xs: readonly Value[]): void {
  const { columns } = asMatrix(value);
  const parts = xs
    .filter((x) => ownerOf(x) === value)
    .map((x) => ({ first: x.view?.first ?? 0, count: asMatrix(x).columns }))
    .sort((a, b) => a.first - b.first);
  let covered = 0;
  for (const { first, count } of parts) covered = first === covered ? covered + count : NaN;
  if (covered !== columns)
    throw new Error(`the operands do not show each of the ${columns} channels of '${value.name}' once`);
}
