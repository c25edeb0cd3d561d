/** Rotary position embeddings. Formulas: autodiff/ops/rotary.ts. Angles are rounded to float32 where `transformers` rounds them. */
import { put, type ReferenceArguments } from './view.ts';

export function rotaryTable({
  positions,
  frequencies,
  table,
  B,
  T,
  D,
  scale,
}: ReferenceArguments<'rotaryTable'>): void {
  const half = D / 2;
  for (let n = 0; n < B * T; n++)
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(positions[n] * frequencies[i]);
      table[n * D + i] = scale * Math.cos(angle);
      table[n * D + half + i] = scale * Math.sin(angle);
    }
}

export function rotary({ x, table, y, N, H, D, inverse }: ReferenceArguments<'rotary'>): void {
  const half = D / 2;
  for (let n = 0; n < N; n++)
    for (let h = 0; h < H; h++)
      for (let i = 0; i < half; i++) {
        const at = (n * H + h) * D + i;
        const [a, b] = [x[at], x[at + half]]; // y may be written over them
        const cos = table[n * D + i];
        const sin = inverse === 1 ? -table[n * D + half + i] : table[n * D + half + i];
        put(y, at, a * cos - b * sin);
        put(y, at + half, b * cos + a * sin);
      }
}
