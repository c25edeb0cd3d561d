/** The memory planner: turns recorded nodes into instructions with addresses. */
import { align, isNarrow } from '../engine/memory.ts';
import type { Buffer, Instruction } from '../engine/instruction.ts';
import { inPlace, isBuffer, signatures, type Argument, type Role } from '../engine/signatures.ts';
import { ownerOf, reads, size, writes, type GraphNode, type Value } from './graph.ts';
import {
  checkStrands,
  separateStrands,
  strandsOfValues,
  type Storage,
  type StrandStorages,
  type BaseOf,
} from './plan-strands.ts';

/** A planned program: instructions with addresses, for any device. */
export interface Program {
  readonly instructions: readonly Instruction[];
  /** End of the arena of activations: the memory to reserve, in elements. */
  readonly end: number;
  /** The memory of a kept value, or of one with fixed memory. */
  buffer(value: Value): Buffer;
  /** Every instruction with its shapes and offsets, one per line. */
  toString(): string;
}

/**
 * Plans the memory of all activations: values with disjoint lifetimes share memory.
 *
 * A value lives from the node that writes it to the last that reads it. A gradient sum accumulates in the buffer of the previous
 * sum unless that is read again, which is rare, and an element-wise result overwrites an operand that is not read again.
 * The memory of strands is kept apart; see plan-strands.ts.
 *
 * Buffers are placed largest first, each into the smallest gap that holds it ("greedy by size", which Pisarchyk & Lee 2020 found
 * to be within a few percent of the optimum).
 *
 * @param start first element of the arena
 * @param keep values that must be intact at the end of the program, such as losses and logits
 */
export function plan(recorded: readonly GraphNode[], start: number, keep: readonly Value[] = []): Program {
  checkStrands(recorded);
  const { nodes, baseOf } = withCopies(recorded, keep);
  const strandOf = strandsOfValues(nodes);
  const lastRead = lastReads(nodes, keep, baseOf);
  const storages = new Map<Value, Storage>();

  nodes.forEach((node, index) => {
    for (const value of writes(node)) {
      if (value.region !== undefined || storages.has(value)) continue;
      // The value whose buffer this one takes over: the sum it adds to, or an operand it may overwrite.
      const donor = baseOf(value) ?? overwritableOperand(node, value, { lastRead, strandOf }, index);
      let storage = donor && storages.get(donor);
      storage ??= { length: align(size(value)), first: index, last: index, offset: -1 };
      storage.last = Math.max(storage.last, lastRead.get(value) ?? index);
      storages.set(value, storage);
    }
  });

  const { shared, strands } = separateStrands(nodes, storages, baseOf);
  const end = placeWithStrands(shared, strands, start);
  const buffer = (value: Value): Buffer => {
    if (value.view !== undefined) {
      const { offset, length } = buffer(value.view.of);
      const { first } = value.view;
      return { offset: offset + first, length: length - first, viewed: size(value) };
    }
    if (value.region !== undefined) return value.region;
    const storage = storages.get(value);
    if (storage === undefined) throw new Error(`the value '${value.name}' is read but never written`);
    return { offset: storage.offset, length: size(value) };
  };
  const instructions = nodes.map((node) => encode(node, buffer));
  return { instructions, end, buffer, toString: () => print(nodes, instructions) };
}

/**
 * Inserts a copy where a sum is read again after something has been added to it.
 *
 * @returns the nodes with the copies, and the sum that each gradient adds to there. The recorded values do not change, so a tape
 * can be planned any number of times.
 */
function withCopies(
  recorded: readonly GraphNode[],
  keep: readonly Value[],
): { nodes: GraphNode[]; baseOf: BaseOf } {
  const lastRead = lastReads(recorded, keep);
  const strandOf = strandsOfValues(recorded);
  const copies = new Map<Value, Value>();
  const nodes = recorded.flatMap((node, index) => {
    const inserted: GraphNode[] = [];
    for (const value of writes(node)) {
      const { base } = value;
      if (base === undefined || value.region !== undefined) continue;
      // No copy if this node is the last to use the earlier sum, uses it only to add to it, and no other strand may read it meanwhile.
      const isLast = lastRead.get(base) === index && !readsDirectly(node, base);
      if (base.region === undefined && isLast && isOwn(node, base, strandOf)) continue;
      const copy: Value = { ...value, base: undefined };
      copies.set(value, copy);
      const { label, strand } = node;
      inserted.push({ kernel: 'copy', args: { x: base, y: copy, n: size(base) }, label, strand });
    }
    return [...inserted, node];
  });
  return { nodes, baseOf: (value) => copies.get(value) ?? value.base };
}

type StrandOf = ReadonlyMap<Value, number | undefined>;

/** Whether a node may overwrite a value that it reads last: one from outside of its strand may be read by others at the same time. */
const isOwn = (node: GraphNode, value: Value, strandOf: StrandOf): boolean =>
  node.strand === undefined || strandOf.get(value) === node.strand;

/** Whether a node reads `value` as an operand, apart from the sum it adds to. */
const readsDirectly = (node: GraphNode, value: Value): boolean =>
  Object.entries<Role>(signatures[node.kernel]).some(
    ([name, role]) =>
      (role === 'read' || role === 'optional' || role === 'weights') && isPartOf(node.args[name], value),
  );

const isPartOf = (arg: Argument<Value> | undefined, value: Value): boolean =>
  isBuffer(arg) && ownerOf(arg) === value;

/** The index of the last node that reads each value; for kept values, the number of nodes. */
function lastReads(nodes: readonly GraphNode[], keep: readonly Value[], baseOf?: BaseOf): Map<Value, number> {
  const last = new Map<Value, number>();
  nodes.forEach((node, index) => {
    for (const value of reads(node, baseOf)) last.set(value, index);
  });
  for (const value of keep) last.set(ownerOf(value), nodes.length);
  return last;
}

/** The operand that the result may overwrite: the one the kernel allows, if it has the same size and is not read again. */
function overwritableOperand(
  node: GraphNode,
  result: Value,
  { lastRead, strandOf }: { readonly lastRead: ReadonlyMap<Value, number>; readonly strandOf: StrandOf },
  index: number,
): Value | undefined {
  const pair = inPlace[node.kernel];
  if (pair === undefined || node.args[pair.result] !== result) return undefined;
  const operand = node.args[pair.operand];
  if (!isBuffer(operand) || operand.region !== undefined) return undefined;
  const readOnce = reads(node).filter((value) => value === operand).length === 1;
  if (!isOwn(node, operand, strandOf)) return undefined;
  return readOnce && lastRead.get(operand) === index && size(operand) === size(result) ? operand : undefined;
}

/** Gives every storage an offset; returns the end of the arena. */
function place(storages: readonly Storage[], start: number): number {
  const placed: Storage[] = [];
  let end = start;
  for (const storage of [...storages].sort((a, b) => b.length - a.length || a.first - b.first)) {
    const neighbors = placed
      .filter((other) => other.first <= storage.last && storage.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    let best = -1;
    let bestGap = Infinity;
    let gapStart = start;
    for (const other of neighbors) {
      const gap = other.offset - gapStart;
      if (gap >= storage.length && gap < bestGap) {
        best = gapStart;
        bestGap = gap;
      }
      gapStart = Math.max(gapStart, other.offset + other.length);
    }
    storage.offset = best >= 0 ? best : gapStart;
    end = Math.max(end, storage.offset + storage.length);
    placed.push(storage);
  }
  return end;
}

/** The same, where each strand's storages are in an arena of their own, which is reserved while the strand's group runs. */
function placeWithStrands(
  shared: readonly Storage[],
  strands: readonly StrandStorages[],
  start: number,
): number {
  const arenas = strands.map(({ group, storages }): Storage => {
    const length = place(storages, 0);
    return { length, first: group.first, last: group.last, offset: -1 };
  });
  const end = place([...shared, ...arenas], start);
  strands.forEach(({ storages }, i) => {
    for (const storage of storages) storage.offset += arenas[i].offset;
  });
  return end;
}

/** The instruction of a node: its values replaced by their addresses. */
function encode(node: GraphNode, buffer: (value: Value) => Buffer): Instruction {
  const args: Record<string, Argument<Buffer>> = {};
  for (const [name, role] of Object.entries<Role>(signatures[node.kernel])) {
    const value = node.args[name];
    if (value === undefined) throw new Error(`${node.kernel} (${node.label}) lacks its argument '${name}'`);
    if (!isBuffer(value)) args[name] = value;
    else {
      const { offset, length, viewed } = buffer(value);
      const { dtype, averagedOver, isOfLogits } = value;
      if (isNarrow(dtype) && role !== 'weights')
        throw new Error(`${node.kernel} (${node.label}) cannot read '${value.name}', which is ${dtype}`);
      args[name] = {
        offset,
        length,
        ...(viewed !== undefined && { viewed }),
        ...(isNarrow(dtype) && { storage: dtype }),
        ...(averagedOver !== undefined && { averagedOver }),
        ...(isOfLogits && { isOfLogits }),
        ...(role === 'accumulate' && { accumulate: ownerOf(value).base !== undefined }),
      };
    }
  }
  const { kernel, label, strand } = node;
  return { kernel, args, label, ...(strand !== undefined && { strand }) } as Instruction;
}

/** The listing of a program, as `String(program)` prints it. */
function print(nodes: readonly GraphNode[], instructions: readonly Instruction[]): string {
  return nodes
    .map((node, index) => {
      const args = Object.entries<Argument<Buffer>>(instructions[index].args).map(([name, arg]) => {
        const value = node.args[name];
        if (typeof arg === 'number') return `${name}=${arg}`;
        if (arg instanceof Float32Array) return `${name}=[${arg.length}]`;
        if (arg === null || !isBuffer(value)) return `${name}=none`;
        return `${name}${arg.accumulate ? '+' : ''}=[${value.shape.join(',')}]@${arg.offset}`;
      });
      const strand = node.strand === undefined ? [] : [`strand ${node.strand}`];
      const start = `${String(index).padStart(4)}  ${node.kernel.padEnd(26)} ${node.label.padEnd(28)}`;
      return [start, ...args, ...strand].join(' ');
    })
    .join('\n');
}
