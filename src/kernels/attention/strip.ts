/** What forward and backward pass do alike: documents, the diagonal, dropout. */

/**
 * Lanes of a row of a strip that begins `lane` lanes into it: from lane `from` on they keep their value, before it they become `fill`.
 * @inline
 */
export function lanesFrom(from: i32, lane: i32, v: v128, fill: v128): v128 {
  return v128.bitselect(
    v,
    fill,
    i32x4.ge_s(i32x4.add(i32x4(0, 1, 2, 3), i32x4.splat(lane)), i32x4.splat(from)),
  );
}

/** Dropout: v·factor where `mask` has ones, else 0. @inline */
export function keep(p: usize, mask: v128, factor: v128): void {
  v128.store(p, v128.and(f32x4.mul(v128.load(p), factor), mask));
}

/** Where the document of a position begins; without starts, at 0. @inline */
export function startOf(starts: usize, position: i32): i32 {
  return starts ? load<i32>(starts + (usize(position) << 2)) : 0;
}
