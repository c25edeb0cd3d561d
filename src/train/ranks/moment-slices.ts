import type { BlockLayout } from '../../model/placement.ts';
import { toNormBlocks } from '../../model/placement.ts';
import type { Slice } from './division.ts';

type Entries = BlockLayout['parameters'];

/**
 * The slices of a moment's block, which may cover only some of the parameters.
 *
 * @param slices of the block of trained parameters
 * @param block the parameters of that block
 * @param partial those that have the moment, at their places in its block
 */
export function slicesOfMoment(slices: readonly Slice[], block: Entries, partial: Entries): Slice[] {
  const startOf = new Map(block.map(({ parameter, start }) => [parameter.name, start]));
  return partial.flatMap(({ parameter, start, length }) => {
    const inBlock = startOf.get(parameter.name)!;
    const end = inBlock + toNormBlocks(parameter, length);
    return slices
      .filter((slice) => slice.start < end && slice.end > inBlock)
      .map((slice) => ({
        owner: slice.owner,
        start: start + Math.max(slice.start, inBlock) - inBlock,
        end: start + Math.min(slice.end, end) - inBlock,
      }));
  });
}
