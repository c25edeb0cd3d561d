/**
 * The state of replicas in a checkpoint, besides the tensors of rank 0's trainer: the outer optimizer's momentum, and the
 * optimizer's moments of every other replica. Between two synchronizations also the anchor, and the parameters and averages of
 * every other replica; a synchronization makes these equal to rank 0's.
 */
import type { Region } from '../../engine/memory.ts';
import type { BlockLayout } from '../../model/placement.ts';
import type { NamedTensor } from '../../model/tensor.ts';
import type { TrainingPrograms } from '../programs.ts';

/** A region in the memory of a replica, and the parameters whose numbers are there. */
export interface Block {
  readonly name: string;
  readonly region: Pick<Region, 'offset' | 'length'>;
  readonly parameters: BlockLayout['parameters'];
}

/** Parts of the outer optimizer's state, each as long as the trained parameters. */
export type OuterName = 'momentum' | 'anchor';

/** The names of the outer optimizer's tensors begin with this, and a part. */
const OUTER = 'outer';

/** @param haveDiverged since the last synchronization */
export function blocksOf({ model, moments, average }: TrainingPrograms, haveDiverged: boolean): Block[] {
  if (!haveDiverged) return [...moments];
  const { trained: length } = model.block;
  const parameters = trainedOf(model.block);
  const { offset } = model.region;
  const blocks = [...moments, { name: 'parameters', region: { offset, length }, parameters }];
  if (average === undefined) return blocks;
  return [
    ...blocks,
    { name: 'average', region: { offset: average.model.region.offset, length }, parameters },
  ];
}

const trainedOf = ({ parameters }: BlockLayout): BlockLayout['parameters'] =>
  parameters.filter(({ parameter }) => parameter.isTrained);

export const outerNames = (haveDiverged: boolean): readonly OuterName[] =>
  haveDiverged ? ['momentum', 'anchor'] : ['momentum'];

/** Whether a file with these tensors is of replicas between two synchronizations. */
export const haveDivergedIn = (names: Iterable<string>): boolean =>
  [...names].some((name) => name.startsWith(`${OUTER}.anchor.`));

/** A copy in the memory of rank 0's host. */
export class ReplicaState {
  /** Since the last synchronization. */
  readonly haveDiverged: boolean;
  readonly outer: Readonly<Partial<Record<OuterName, Float32Array>>>;
  /** The numbers of `blocksOf` of every replica; none of rank 0. */
  readonly replicas: readonly (readonly Float32Array[])[];
  readonly #programs: TrainingPrograms;

  /** A state of zeros. */
  constructor(programs: TrainingPrograms, size: number, haveDiverged: boolean) {
    this.#programs = programs;
    this.haveDiverged = haveDiverged;
    const { trained } = programs.model.block;
    this.outer = Object.fromEntries(
      outerNames(haveDiverged).map((name) => [name, new Float32Array(trained)]),
    );
    const blocks = blocksOf(programs, haveDiverged);
    this.replicas = Array.from({ length: size }, (_, rank) =>
      rank === 0 ? [] : blocks.map(({ region }) => new Float32Array(region.length)),
    );
  }

  /** Names such as `outer.momentum.h.0.attn.c_attn.weight` and `1.m.h.0.attn.c_attn.weight`, by rank. */
  tensors(): NamedTensor[] {
    const outerParameters = trainedOf(this.#programs.model.block);
    const blocks = blocksOf(this.#programs, this.haveDiverged);
    return [
      ...Object.entries(this.outer).flatMap(([name, numbers]) =>
        tensorsIn(`${OUTER}.${name}`, numbers, outerParameters),
      ),
      ...this.replicas.flatMap((numbers, rank) =>
        numbers.flatMap((block, i) => tensorsIn(`${rank}.${blocks[i].name}`, block, blocks[i].parameters)),
      ),
    ];
  }
}

const tensorsIn = (
  prefix: string,
  numbers: Float32Array,
  parameters: BlockLayout['parameters'],
): NamedTensor[] =>
  parameters.map(({ parameter: { name, shape }, start, length }) => ({
    name: `${prefix}.${name}`,
    shape,
    data: numbers.subarray(start, start + length),
  }));
