/**
 * Embedding lookup and its gradient. The forward pass splits the rows over threads. The backward pass splits the channels:
 * several n may add to the same table row, and one thread must compute each sum in order of n.
 */
import { EmbeddingArguments, EmbeddingBackwardArguments } from './generated/arguments';
import { F32 } from './generated/constants';
import { rowBytesOf, widen } from './storage';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, storePart } from './vector';

export function embedding(args: EmbeddingArguments): void {
  const end = sliceEnd(args.N, 1);
  const bytes = usize(args.C) << 2;
  const type = args.tableType;
  const rowBytes = rowBytesOf(args.C, type);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const row = args.table + usize(idAt(args.ids, n)) * rowBytes;
    const target = args.out + usize(n) * bytes;
    if (type == F32) memory.copy(target, row, bytes);
    else widen(target, row, 0, args.C, type);
  }
}

export function embeddingBackward(args: EmbeddingBackwardArguments): void {
  const ids = args.ids;
  const dOut = args.dOut;
  const dTable = args.dTable;
  const N = args.N;
  const C = args.C;
  const from = sliceStart(C, FLOATS_PER_LINE);
  const end = sliceEnd(C, FLOATS_PER_LINE);
  if (from == end) return;
  if (!args.accumulateDTable) {
    const bytes = usize(end - from) << 2;
    for (let v = 0; v < args.V; v++) memory.fill(dTable + ((usize(v) * C + from) << 2), 0, bytes);
  }
  for (let n = 0; n < N; n++) {
    const source = dOut + ((usize(n) * C) << 2);
    const target = dTable + ((usize(idAt(ids, n)) * C) << 2);
    let c = from;
    for (; c + 8 <= end; c += 8) {
      const at = usize(c) << 2;
      const low = f32x4.add(v128.load(target + at), v128.load(source + at));
      const high = f32x4.add(v128.load(target + at, 16), v128.load(source + at, 16));
      v128.store(target + at, high, 16);
      v128.store(target + at, low);
    }
    for (; c < end; c += 4) {
      const at = usize(c) << 2;
      const rest = end - c;
      storePart(target + at, f32x4.add(loadPart(target + at, rest), loadPart(source + at, rest)), rest);
    }
  }
}

/** @inline */
function idAt(ids: usize, n: i32): i32 {
  return load<i32>(ids + (usize(n) << 2));
}
