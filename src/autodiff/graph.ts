/** A recorded computation: values and the kernel calls that produce them. */
import type { Region } from '../engine/memory.ts';
import {
  isBuffer,
  signatures,
  WRITE_ROLES,
  type Argument,
  type KernelName,
  type Role,
} from '../engine/signatures.ts';

/** A tensor of a recorded graph: a name and a shape, no numbers. Each is written once (static single assignment). */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: Region['dtype'];
  /** Its fixed memory, for parameters, gradients, inputs and state; undefined for activations, which the planner places. */
  readonly region: Region | undefined;
  /** Set on a gradient that adds to an earlier sum: this value is `base` plus what its kernel computes. */
  readonly base: Value | undefined;
  /** Set on a gradient of a mean loss: the tokens of the mean. */
  readonly averagedOver?: number;
  /** Set on the gradient of logits by cross-entropy. */
  readonly isOfLogits?: true;
  /** It depends on a parameter. */
  needsGradient: boolean;
  /** Set on a view: channels of another value, starting at `first` in each row, without memory of its own. */
  readonly view?: { readonly of: Value; readonly first: number };
}

/** A value in fixed memory. */
export interface PlacedValue extends Value {
  readonly region: Region;
}

/** One kernel call on values: an Instruction before memory is planned. */
export interface GraphNode {
  readonly kernel: KernelName;
  readonly args: Readonly<Record<string, Argument<Value>>>;
  /** The scope in which it was recorded: 'h.0.attn.c_attn', with the suffix ' backward' in the backward pass. */
  readonly label: string;
  /** See Instruction. */
  readonly strand?: number | undefined;
}

export const size = (value: Pick<Value, 'shape'>): number => value.shape.reduce((a, b) => a * b, 1);

/** The value whose memory this one uses: itself, or the value it is a view of. */
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

/** Views of a value's channels in `n` equal parts, such as queries, keys and values of a packed [B,T,3C]. */
export function splitChannels(value: Value, n: number): Value[] {
  const count = asMatrix(value).columns / n;
  return Array.from({ length: n }, (_, i) => channels(value, i * count, count));
}

/** Rows and columns of a tensor as a matrix: all leading axes are rows. */
export function asMatrix(value: Value): { rows: number; columns: number } {
  const columns = value.shape.at(-1) ?? 1;
  return { rows: size(value) / columns, columns };
}

/** The values that a node takes in parameters of the given roles; for a view, the value it is a view of. */
const byRole = (node: GraphNode, roles: ReadonlySet<Role>): Value[] => {
  const found: Value[] = [];
  for (const [name, role] of Object.entries<Role>(signatures[node.kernel])) {
    const value = node.args[name];
    if (roles.has(role) && isBuffer(value)) found.push(ownerOf(value));
  }
  return found;
};
const READ_ROLES: ReadonlySet<Role> = new Set<Role>([
  'read',
  'optional',
  'weights',
  'update',
  'ids',
  'optionalIds',
]);

/** The values a node reads, including sums that it adds to. @param baseOf the sum that a value adds to, if not the recorded one */
export const reads = (node: GraphNode, baseOf = (value: Value): Value | undefined => value.base): Value[] => [
  ...byRole(node, READ_ROLES),
  ...writes(node).flatMap((value) => baseOf(value) ?? []),
];
/** The values a node writes, each once. */
export const writes = (node: GraphNode): Value[] => [...new Set(byRole(node, WRITE_ROLES))];
