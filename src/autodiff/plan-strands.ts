/**
 * Strands in the memory plan. Adjacent strands may run at the same time, so their values do not share memory, and a value from
 * outside that a strand reads stays alive until all of its group have ended.
 */
import { reads, writes, type GraphNode, type Value } from './graph.ts';

/** One buffer of the arena, shared by the values of a chain of sums and by in-place results. */
export interface Storage {
  readonly length: number;
  /** Lifetime: indices of the first node that writes it and the last that reads it. */
  first: number;
  last: number;
  offset: number;
}

/** Adjacent strands: the indices of their first and last node. */
interface Group {
  readonly first: number;
  readonly last: number;
}

/** The sum that a value adds to. */
export type BaseOf = (value: Value) => Value | undefined;

/** The group of each node that is in a strand. */
function groupsOf(nodes: readonly GraphNode[]): ReadonlyMap<number, Group> {
  const groups = new Map<number, Group>();
  for (let index = 0; index < nodes.length; index++) {
    const first = index;
    while (nodes[index]?.strand !== undefined) index++;
    const group = { first, last: index - 1 };
    for (let i = first; i < index; i++) groups.set(i, group);
  }
  return groups;
}

/** The strand of the node that writes each value; undefined outside of strands. */
export function strandsOfValues(nodes: readonly GraphNode[]): ReadonlyMap<Value, number | undefined> {
  return new Map(nodes.flatMap((node) => writes(node).map((value) => [value, node.strand] as const)));
}

/** @throws Error if a strand reads or writes what another one of its group writes */
export function checkStrands(nodes: readonly GraphNode[]): void {
  const uses = new Map<Group, Use[]>();
  for (const [index, group] of groupsOf(nodes)) {
    const found = uses.get(group) ?? [];
    found.push(...usesIn(nodes[index]));
    uses.set(group, found);
  }
  for (const all of uses.values()) {
    checkMemory(all);
    const writers = new Map(all.filter(({ isWritten }) => isWritten).map(({ value, node }) => [value, node]));
    for (const { value, node } of all) {
      const writer = writers.get(value);
      if (writer !== undefined && writer.strand !== node.strand) throw collision(node, value);
    }
  }
}

interface Use {
  readonly node: GraphNode;
  readonly value: Value;
  readonly isWritten: boolean;
}

const usesIn = (node: GraphNode): Use[] => [
  ...reads(node).map((value) => ({ node, value, isWritten: false })),
  ...writes(node).map((value) => ({ node, value, isWritten: true })),
];

const collision = (node: GraphNode, { name }: Value): Error =>
  new Error(`${node.kernel} (${node.label}) uses '${name}', which an adjacent strand writes`);

/** Fixed memory may be behind several values. */
function checkMemory(uses: readonly Use[]): void {
  const placed = uses
    .flatMap((use) => (use.value.region === undefined ? [] : [{ ...use, ...use.value.region }]))
    .toSorted((a, b) => a.offset - b.offset);
  placed.forEach((use, i) => {
    const end = use.offset + use.length;
    for (let k = i + 1; k < placed.length && placed[k].offset < end; k++) {
      const other = placed[k];
      if (other.node.strand === use.node.strand) continue;
      if (use.isWritten || other.isWritten) throw collision(other.node, other.value);
    }
  });
}

/**
 * Divides storages into those that are private to a strand, and others, whose lifetimes are extended over every group that uses
 * them.
 *
 * @param storageOf the storage of each value that the planner places
 * @returns the shared storages, and each strand's private ones
 */
export function separateStrands(
  nodes: readonly GraphNode[],
  storageOf: ReadonlyMap<Value, Storage>,
  baseOf: BaseOf,
): { readonly shared: readonly Storage[]; readonly strands: readonly StrandStorages[] } {
  const groups = groupsOf(nodes);
  const strands = new Map<number, StrandStorages & { readonly storages: Storage[] }>();
  const shared: Storage[] = [];
  for (const [storage, uses] of usesOf(nodes, storageOf, baseOf)) {
    const { strand } = nodes[uses[0]];
    const isKept = storage.last === nodes.length;
    if (strand !== undefined && !isKept && uses.every((index) => nodes[index].strand === strand)) {
      const found = strands.get(strand) ?? { group: groups.get(uses[0])!, storages: [] };
      found.storages.push(storage);
      strands.set(strand, found);
      continue;
    }
    for (const index of uses) {
      const { first, last } = groups.get(index) ?? { first: index, last: index };
      storage.first = Math.min(storage.first, first);
      storage.last = Math.max(storage.last, last);
    }
    shared.push(storage);
  }
  return { shared, strands: [...strands.values()] };
}

/** A strand's private storages, whose memory is reserved while its group runs. */
export interface StrandStorages {
  readonly group: Group;
  readonly storages: readonly Storage[];
}

/** The indices of the nodes that use each storage, in order. */
function usesOf(
  nodes: readonly GraphNode[],
  storageOf: ReadonlyMap<Value, Storage>,
  baseOf: BaseOf,
): Map<Storage, number[]> {
  const uses = new Map<Storage, number[]>();
  nodes.forEach((node, index) => {
    for (const value of [...reads(node, baseOf), ...writes(node)]) {
      const storage = storageOf.get(value);
      if (storage === undefined) continue;
      const found = uses.get(storage);
      if (found === undefined) uses.set(storage, [index]);
      else found.push(index);
    }
  });
  return uses;
}
