/** Shared by the forward and the backward pass: document starts, masks, dropout. */

/**
 * For four lanes of a strip's row, starting at lane `lane` of the row: lanes before lane `from` of the row become `fill`.
 * @inline
 */
export function lanesFrom(from: i32, lane: i32, v: v128, fill: v128): v128 {
  return v128.bitselect(
    v,
    fill,
    i32x4.ge_s(i32x4.add(i32x4(0, 1, 2, 3), i32x4.splat(lane)), i32x4.splat(from)),
  );
}

/** Dropout of four elements: scaled by `factor` where the mask is set, else 0. @inline */
export function applyMask(p: usize, mask: v128, factor: v128): void {
  v128.store(p, v128.and(f32x4.mul(v128.load(p), factor), mask));
}

/** Start of the document of a position; 0 without documents. @inline */
export function documentStart(starts: usize, position: i32): i32 {
  return starts ? load<i32>(starts + (usize(position) << 2)) : 0;
}
