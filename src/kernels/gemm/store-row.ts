/** How a row of a tile leaves the registers: with its bias, and added to what C holds. Vectors in pairs, see ../elementwise.ts. */

/** @inline */
export function storeRow4(
  c: usize,
  bias: usize,
  accumulate: i32,
  v0: v128,
  v1: v128,
  v2: v128,
  v3: v128,
): void {
  if (bias) {
    v0 = f32x4.add(v0, v128.load(bias));
    v1 = f32x4.add(v1, v128.load(bias, 16));
    v2 = f32x4.add(v2, v128.load(bias, 32));
    v3 = f32x4.add(v3, v128.load(bias, 48));
  }
  if (accumulate) {
    v0 = f32x4.add(v128.load(c), v0);
    v1 = f32x4.add(v128.load(c, 16), v1);
    v2 = f32x4.add(v128.load(c, 32), v2);
    v3 = f32x4.add(v128.load(c, 48), v3);
  }
  v128.store(c, v1, 16);
  v128.store(c, v0);
  v128.store(c, v3, 48);
  v128.store(c, v2, 32);
}

/** @inline */
export function storeRow2(c: usize, bias: usize, accumulate: i32, v0: v128, v1: v128): void {
  if (bias) {
    v0 = f32x4.add(v0, v128.load(bias));
    v1 = f32x4.add(v1, v128.load(bias, 16));
  }
  if (accumulate) {
    v0 = f32x4.add(v128.load(c), v0);
    v1 = f32x4.add(v128.load(c, 16), v1);
  }
  v128.store(c, v1, 16);
  v128.store(c, v0);
}
