/**
 * The micro-kernel: an MR×NR tile of C from a panel of A (MR numbers for each k) and a panel of B (NR numbers for each k).
 * All of the tile stays in registers while k runs; each step loads NR + MR numbers for MR·NR multiply-adds.
 *
 * One tile for each mode, measured on one core (AMD EPYC, Zen 4 and 5), GFLOP/s in cache:
 *   4×8   plain SIMD, multiply and add          42–46
 *   6×8   relaxed SIMD, fused multiply-add      55     (6×16 would not fit the 16 registers of 128 bits)
 *   6×16  relaxed SIMD with V8's revectorize   110     (pairs become 256 bits wide: 12 registers of accumulators)
 *
 * The sum over k runs in order in every element, whatever tile it belongs to.
 */
import { madd } from '../vector';

/** c[MR,NR] (+)= Σ_k a[k,:]ᵀ·b[k,:] + bias; `ldc` is the length of a row of C in bytes, `bias` 0 or NR numbers. */
// @ts-ignore: decorator
@inline
export function microKernel(k: i32, a: usize, b: usize, c: usize, ldc: usize, bias: usize, accumulate: i32): void {
  if (NR == 16) tile6x16(k, a, b, c, ldc, bias, accumulate);
  else if (MR == 6) tile6x8(k, a, b, c, ldc, bias, accumulate);
  else tile4x8(k, a, b, c, ldc, bias, accumulate);
}

function tile6x16(k: i32, a: usize, b: usize, c: usize, ldc: usize, bias: usize, accumulate: i32): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c02 = f32x4.splat(0);
  let c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c12 = f32x4.splat(0);
  let c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c22 = f32x4.splat(0);
  let c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  let c32 = f32x4.splat(0);
  let c33 = f32x4.splat(0);
  let c40 = f32x4.splat(0);
  let c41 = f32x4.splat(0);
  let c42 = f32x4.splat(0);
  let c43 = f32x4.splat(0);
  let c50 = f32x4.splat(0);
  let c51 = f32x4.splat(0);
  let c52 = f32x4.splat(0);
  let c53 = f32x4.splat(0);
  for (; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    const a0 = v128.load32_splat(a);
    c00 = madd(a0, b0, c00);
    c01 = madd(a0, b1, c01);
    c02 = madd(a0, b2, c02);
    c03 = madd(a0, b3, c03);
    const a1 = v128.load32_splat(a, 4);
    c10 = madd(a1, b0, c10);
    c11 = madd(a1, b1, c11);
    c12 = madd(a1, b2, c12);
    c13 = madd(a1, b3, c13);
    const a2 = v128.load32_splat(a, 8);
    c20 = madd(a2, b0, c20);
    c21 = madd(a2, b1, c21);
    c22 = madd(a2, b2, c22);
    c23 = madd(a2, b3, c23);
    const a3 = v128.load32_splat(a, 12);
    c30 = madd(a3, b0, c30);
    c31 = madd(a3, b1, c31);
    c32 = madd(a3, b2, c32);
    c33 = madd(a3, b3, c33);
    const a4 = v128.load32_splat(a, 16);
    c40 = madd(a4, b0, c40);
    c41 = madd(a4, b1, c41);
    c42 = madd(a4, b2, c42);
    c43 = madd(a4, b3, c43);
    const a5 = v128.load32_splat(a, 20);
    c50 = madd(a5, b0, c50);
    c51 = madd(a5, b1, c51);
    c52 = madd(a5, b2, c52);
    c53 = madd(a5, b3, c53);
    a += 24;
    b += 64;
  }
  storeRow4(c, bias, accumulate, c00, c01, c02, c03);
  c += ldc;
  storeRow4(c, bias, accumulate, c10, c11, c12, c13);
  c += ldc;
  storeRow4(c, bias, accumulate, c20, c21, c22, c23);
  c += ldc;
  storeRow4(c, bias, accumulate, c30, c31, c32, c33);
  c += ldc;
  storeRow4(c, bias, accumulate, c40, c41, c42, c43);
  c += ldc;
  storeRow4(c, bias, accumulate, c50, c51, c52, c53);
}

function tile6x8(k: i32, a: usize, b: usize, c: usize, ldc: usize, bias: usize, accumulate: i32): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0);
  let c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0);
  let c51 = f32x4.splat(0);
  for (; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = madd(a0, b0, c00);
    c01 = madd(a0, b1, c01);
    const a1 = v128.load32_splat(a, 4);
    c10 = madd(a1, b0, c10);
    c11 = madd(a1, b1, c11);
    const a2 = v128.load32_splat(a, 8);
    c20 = madd(a2, b0, c20);
    c21 = madd(a2, b1, c21);
    const a3 = v128.load32_splat(a, 12);
    c30 = madd(a3, b0, c30);
    c31 = madd(a3, b1, c31);
    const a4 = v128.load32_splat(a, 16);
    c40 = madd(a4, b0, c40);
    c41 = madd(a4, b1, c41);
    const a5 = v128.load32_splat(a, 20);
    c50 = madd(a5, b0, c50);
    c51 = madd(a5, b1, c51);
    a += 24;
    b += 32;
  }
  storeRow2(c, bias, accumulate, c00, c01);
  c += ldc;
  storeRow2(c, bias, accumulate, c10, c11);
  c += ldc;
  storeRow2(c, bias, accumulate, c20, c21);
  c += ldc;
  storeRow2(c, bias, accumulate, c30, c31);
  c += ldc;
  storeRow2(c, bias, accumulate, c40, c41);
  c += ldc;
  storeRow2(c, bias, accumulate, c50, c51);
}

function tile4x8(k: i32, a: usize, b: usize, c: usize, ldc: usize, bias: usize, accumulate: i32): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  for (; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = madd(a0, b0, c00);
    c01 = madd(a0, b1, c01);
    const a1 = v128.load32_splat(a, 4);
    c10 = madd(a1, b0, c10);
    c11 = madd(a1, b1, c11);
    const a2 = v128.load32_splat(a, 8);
    c20 = madd(a2, b0, c20);
    c21 = madd(a2, b1, c21);
    const a3 = v128.load32_splat(a, 12);
    c30 = madd(a3, b0, c30);
    c31 = madd(a3, b1, c31);
    a += 16;
    b += 32;
  }
  storeRow2(c, bias, accumulate, c00, c01);
  c += ldc;
  storeRow2(c, bias, accumulate, c10, c11);
  c += ldc;
  storeRow2(c, bias, accumulate, c20, c21);
  c += ldc;
  storeRow2(c, bias, accumulate, c30, c31);
}

// @ts-ignore: decorator
@inline
function storeRow4(c: usize, bias: usize, accumulate: i32, v0: v128, v1: v128, v2: v128, v3: v128): void {
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
  v128.store(c, v0);
  v128.store(c, v1, 16);
  v128.store(c, v2, 32);
  v128.store(c, v3, 48);
}

// @ts-ignore: decorator
@inline
function storeRow2(c: usize, bias: usize, accumulate: i32, v0: v128, v1: v128): void {
  if (bias) {
    v0 = f32x4.add(v0, v128.load(bias));
    v1 = f32x4.add(v1, v128.load(bias, 16));
  }
  if (accumulate) {
    v0 = f32x4.add(v128.load(c), v0);
    v1 = f32x4.add(v128.load(c, 16), v1);
  }
  v128.store(c, v0);
  v128.store(c, v1, 16);
}
