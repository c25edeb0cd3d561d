/**
 * Kernels that treat each element by itself. Threads split the elements in whole cache lines. Vectors are handled in
 * pairs, which V8's revectorize turns into one 256-bit operation. Of a pair, here and everywhere, the upper half is stored first: the
 * other way round, V8 keeps the store of the lower half beside that of both, which cost whole training steps 2 to 5 %.
 */
import { loadPart, putPart, storePart } from './vector';
import { share } from './threads';

const LINE = 16;

export function add(thread: i32, threads: i32, a: usize, b: usize, y: usize, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  let i = share(n, LINE, thread, threads);
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const low = f32x4.add(v128.load(a + at), v128.load(b + at));
    const high = f32x4.add(v128.load(a + at, 16), v128.load(b + at, 16));
    v128.store(y + at, high, 16);
    v128.store(y + at, low);
  }
  for (; i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, f32x4.add(loadPart(a + at, end - i), loadPart(b + at, end - i)), end - i);
  }
}

export function copy(thread: i32, threads: i32, x: usize, y: usize, accumulate: i32, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  for (let i = share(n, LINE, thread, threads); i < end; i += 4) {
    const at = i << 2;
    putPart(y + at, loadPart(x + at, end - i), end - i, accumulate);
  }
}

export function relu(thread: i32, threads: i32, x: usize, y: usize, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  for (let i = share(n, LINE, thread, threads); i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, f32x4.max(loadPart(x + at, end - i), f32x4.splat(0)), end - i);
  }
}

export function reluBackward(
  thread: i32,
  threads: i32,
  x: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  n: i32,
): void {
  const end = share(n, LINE, thread + 1, threads);
  for (let i = share(n, LINE, thread, threads); i < end; i += 4) {
    const at = i << 2;
    const positive = f32x4.gt(loadPart(x + at, end - i), f32x4.splat(0));
    putPart(dX + at, v128.and(loadPart(dY + at, end - i), positive), end - i, accumulate);
  }
}
