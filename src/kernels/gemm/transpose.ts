/**
 * Transposes rows of k numbers, `ld` bytes apart, to columns of a panel whose rows are `step` bytes apart.
 */

/** Four rows. */
export function transpose4(dst: usize, step: usize, src: usize, ld: usize, k: i32): void {
  let i = 0;
  for (; i + 4 <= k; i += 4) {
    const s = src + (usize(i) << 2);
    const r0 = v128.load(s);
    const r1 = v128.load(s + ld);
    const r2 = v128.load(s + ld * 2);
    const r3 = v128.load(s + ld * 3);
    const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
    const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const c = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
    const d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    v128.store(dst, v128.shuffle<i64>(a, b, 0, 2));
    v128.store(dst + step, v128.shuffle<i64>(a, b, 1, 3));
    v128.store(dst + step * 2, v128.shuffle<i64>(c, d, 0, 2));
    v128.store(dst + step * 3, v128.shuffle<i64>(c, d, 1, 3));
    dst += step * 4;
  }
  transposeAny(dst, step, src + (usize(i) << 2), ld, 4, k - i);
}

/** The same for eight rows. */
export function transpose8(dst: usize, step: usize, src: usize, ld: usize, k: i32): void {
  let i = 0;
  let s = src;
  for (; i + 4 <= k; i += 4) {
    const s1 = s + ld;
    const s2 = s1 + ld;
    const s3 = s2 + ld;
    const s4 = s3 + ld;
    const s5 = s4 + ld;
    const s6 = s5 + ld;
    const s7 = s6 + ld;
    const r0 = v128.load(s);
    const r1 = v128.load(s1);
    const r2 = v128.load(s2);
    const r3 = v128.load(s3);
    const r4 = v128.load(s4);
    const r5 = v128.load(s5);
    const r6 = v128.load(s6);
    const r7 = v128.load(s7);
    const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
    const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const c = v128.shuffle<i32>(r4, r5, 0, 4, 1, 5);
    const d = v128.shuffle<i32>(r6, r7, 0, 4, 1, 5);
    v128.store(dst, v128.shuffle<i64>(c, d, 0, 2), 16);
    v128.store(dst, v128.shuffle<i64>(a, b, 0, 2));
    v128.store(dst + step, v128.shuffle<i64>(c, d, 1, 3), 16);
    v128.store(dst + step, v128.shuffle<i64>(a, b, 1, 3));
    const e = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
    const f = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    const g = v128.shuffle<i32>(r4, r5, 2, 6, 3, 7);
    const h = v128.shuffle<i32>(r6, r7, 2, 6, 3, 7);
    v128.store(dst + step * 2, v128.shuffle<i64>(g, h, 0, 2), 16);
    v128.store(dst + step * 2, v128.shuffle<i64>(e, f, 0, 2));
    v128.store(dst + step * 3, v128.shuffle<i64>(g, h, 1, 3), 16);
    v128.store(dst + step * 3, v128.shuffle<i64>(e, f, 1, 3));
    dst += step * 4;
    s += 16;
  }
  transposeAny(dst, step, s, ld, 8, k - i);
}

/** The same for six rows, a whole panel of MR = 6: its rows are contiguous, so six vectors hold four of them. */
export function transpose6(dst: usize, src: usize, ld: usize, k: i32): void {
  let i = 0;
  let s = src;
  for (; i + 4 <= k; i += 4) {
    const s1 = s + ld;
    const s2 = s1 + ld;
    const s3 = s2 + ld;
    const s4 = s3 + ld;
    const s5 = s4 + ld;
    const r0 = v128.load(s);
    const r1 = v128.load(s1);
    const r2 = v128.load(s2);
    const r3 = v128.load(s3);
    const r4 = v128.load(s4);
    const r5 = v128.load(s5);
    const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
    const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const c = v128.shuffle<i32>(r4, r5, 0, 4, 1, 5);
    const d = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
    const e = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    const f = v128.shuffle<i32>(r4, r5, 2, 6, 3, 7);
    v128.store(dst, v128.shuffle<i64>(c, a, 0, 3), 16);
    v128.store(dst, v128.shuffle<i64>(a, b, 0, 2));
    v128.store(dst, v128.shuffle<i64>(d, e, 0, 2), 48);
    v128.store(dst, v128.shuffle<i64>(b, c, 1, 3), 32);
    v128.store(dst, v128.shuffle<i64>(e, f, 1, 3), 80);
    v128.store(dst, v128.shuffle<i64>(f, d, 0, 3), 64);
    dst += 96;
    s += 16;
  }
  transposeAny(dst, 24, s, ld, 6, k - i);
}

/** The same for any number of rows, one number at a time: for remainders. */
export function transposeAny(dst: usize, step: usize, src: usize, ld: usize, rows: i32, k: i32): void {
  for (let i = 0; i < k; i++) {
    for (let r = 0; r < rows; r++) store<f32>(dst + (r << 2), load<f32>(src + ld * r));
    dst += step;
    src += 4;
  }
}
