import { asMatrix, type Value } from '../graph.ts';
import { defineOp, type Recorder } from '../recorder.ts';

/**
 * Radians per position by which the pairs of channels of a head rotate: θ^(−2i/D), i < D/2, rounded to float32 where
 * `transformers` rounds them.
 */
export function rotaryFrequencies(headSize: number, theta: number): Float32Array {
  if (headSize % 2 !== 0) throw new Error(`rotary positions turn pairs of channels; a head has ${headSize}`);
  const { fround } = Math;
  return Float32Array.from(
    { length: headSize / 2 },
    (_, i) => 1 / fround(theta ** fround((2 * i) / headSize)),
  );
}

/** The rotation of a head per position. */
export interface Rotation {
  /** Of the pairs of channels, in radians per position, [D/2]. */
  readonly frequencies: Float32Array;
  /** A factor of all cosines and sines. */
  readonly scale: number;
}

/**
 * The cosines and sines of `rotary`: [B,T,D], per position D/2 cosines, then D/2 sines of the angles
 * position·frequency. They depend on no parameter, so one table serves every layer and has no derivative.
 */
export function rotaryTable(t: Recorder, positions: Value, { frequencies, scale }: Rotation): Value {
  const [B, T] = positions.shape;
  const D = 2 * frequencies.length;
  const table = t.local([B, T, D], 'rotary table');
  t.emit('rotaryTable', { positions, frequencies, table, B, T, D, scale });
  return table;
}

/**
 * Rotary position embedding (Su et al. 2021, equation 34) in the half-split layout of `transformers`: in each head, channels i
 * and i + D/2 are the coordinates of a point in the plane, which is rotated.
 *   y[i] = x[i]·cos − x[i + D/2]·sin,  y[i + D/2] = x[i + D/2]·cos + x[i]·sin
 *
 * Derivative: rotation back by the same angle, dX = Rᵀ·dY; a scale of the table applies to both. Saved: nothing.
 * Shapes: x [B,T,H·D], table [B,T,D] → [B,T,H·D]. Threads split the rows.
 */
export const rotary = defineOp({
  forward(t, x: Value, table: Value) {
    const { rows: N, columns } = asMatrix(x);
    const { rows, columns: D } = asMatrix(table);
    if (N !== rows || columns % D !== 0)
      throw new Error(`rotary: x [${x.shape.join(',')}] with a table [${table.shape.join(',')}]`);
    const args = { table, N, H: columns / D, D };
    const y = t.local(x.shape);
    t.emit('rotary', { x, y, ...args, inverse: 0 });
    return { out: y, saved: { x, args } };
  },
  backward(g, dY, { x, args }) {
    g.add(x, (dX) => g.emit('rotary', { x: dY, y: dX, ...args, inverse: 1 }));
  },
});
