/** The look-up of embeddings, and its gradient. */
import type { KernelDispatches } from '../dispatch.ts';
import { elementwise, rowwise, SIZE } from '../wgsl.ts';
import { readWeight } from './storage.ts';

/** out[n,c] = table[ids[n],c]. */
export const embedding: KernelDispatches<'embedding'> = (args) => [
  {
    kernel: 'embedding',
    args,
    shader:
      readWeight[args.table.storage ?? 'f32'] +
      elementwise(
        `let id = u32(intAt(args.ids + i / args.C));
  memory[args.out + i] = readWeight(args.table, id * args.C + i % args.C);`,
        'args.N * args.C',
      ),
    workgroups: Math.ceil((args.N * args.C) / SIZE),
  },
];

const clear = elementwise('memory[args.dTable + i] = 0.0;', 'args.V * args.C');

/**
 * The workgroup of the first n with an id adds up all rows of that id, in order of n; those of later ones end. Ids pass
 * through workgroup memory.
 */
const addRows = /* wgsl */ `
var<workgroup> isRepeated: u32;
var<workgroup> ids: array<i32, ${SIZE}>;
${rowwise(`
  let id = intAt(args.ids + row);
  if (local == 0u) { isRepeated = 0u; }
  workgroupBarrier();
  for (var n = local; n < row; n += ${SIZE}u) {
    if (intAt(args.ids + n) == id) { isRepeated = 1u; }
  }
  if (workgroupUniformLoad(&isRepeated) == 1u) { return; }
  for (var first = row; first < args.N; first += ${SIZE}u) {
    workgroupBarrier();
    if (first + local < args.N) { ids[local] = intAt(args.ids + first + local); }
    workgroupBarrier();
    let count = min(${SIZE}u, args.N - first);
    for (var c = local; c < args.C; c += ${SIZE}u) {
      let at = args.dTable + u32(id) * args.C + c;
      var sum = memory[at];
      for (var n = 0u; n < count; n++) {
        if (ids[n] == id) { sum += memory[args.dOut + (first + n) * args.C + c]; }
      }
      memory[at] = sum;
    }
  }`)}`;

export const embeddingBackward: KernelDispatches<'embeddingBackward'> = (args) => {
  const kernel = 'embeddingBackward';
  const adding = { kernel, args, shader: addRows, workgroups: args.N } as const;
  if (args.dTable.accumulate === true) return [adding];
  return [{ kernel, args, shader: clear, workgroups: Math.ceil((args.V * args.C) / SIZE) }, adding];
};
