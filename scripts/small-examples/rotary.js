/** Computes the numbers of docs/understanding/rotary.md. */
import { rotaryFrequencies, rotaryTable } from '../../dist/autodiff/ops/rotary.js';
import {
  out,
  title,
  fixed,
  list,
  sum,
  dot,
  norm,
  zeros,
  ones,
  agree,
  runOp,
  EPSILON,
  rmsNorm,
  small,
} from './common.js';

/** Pair i of a head is channels i and i + D/2; it is rotated by position·θ^(−2i/D). */
const angle = (position, i, D, theta = small.ropeTheta) => position * theta ** ((-2 * i) / D);
const rotate = (x, position) => {
  const half = x.length / 2;
  const turned = zeros(x.length);
  for (let i = 0; i < half; i++) {
    const [cos, sin] = [Math.cos(angle(position, i, x.length)), Math.sin(angle(position, i, x.length))];
    turned[i] = x[i] * cos - x[i + half] * sin;
    turned[i + half] = x[i + half] * cos + x[i] * sin;
  }
  return turned;
};
const rotaryOp = (x, position, dOut) =>
  runOp(
    (t, v) =>
      t.rotary(
        v.x,
        rotaryTable(t, v.positions, { frequencies: rotaryFrequencies(x.length, small.ropeTheta), scale: 1 }),
      ),
    { x: [[1, 1, x.length], x], positions: [[1, 1], [position]] },
    { dOut, integers: ['positions'] },
  );
/** The engine's angles are float32, as in transformers. */
const ANGLE_ERROR = 1e-4;

title('Rotary positions');
{
  const D = 32;
  out(`θ = ${small.ropeTheta}`);
  for (const i of [0, 1, 4, 8, 12, 15])
    out(
      `pair ${i} of a head of ${D}: ${angle(1, i, D).toPrecision(3)} radians per position, a turn in ${fixed((2 * Math.PI) / angle(1, i, D), 1)} = ${Math.round((2 * Math.PI) / angle(1, i, D))} positions`,
    );
  out(`with θ = 300, pair 15: a turn in ${Math.round((2 * Math.PI) / angle(1, 15, D, 300))} positions`);
  const x = [1, 0, 0, 1];
  const { y, gradients } = await rotaryOp(x, 3, [1, 0, 0, 0]);
  agree('rotary', rotate(x, 3), y, ANGLE_ERROR);
  agree('derivative of rotary', rotate([1, 0, 0, 0], -3), gradients.x, ANGLE_ERROR);
  out(`q = 1 0 0 1 at position 3: ${list(y)}; length ${fixed(norm(x))} before, ${fixed(norm(y))} after`);
  out(`dY = 1 0 0 0 there: dX ${list(gradients.x)}`);
  const [q, k] = [
    [1, 0, 0, 1],
    [1, 1, 0, 0],
  ];
  const score = async (i, j) => dot((await rotaryOp(q, i)).y, (await rotaryOp(k, j)).y);
  for (const [i, j] of [
    [3, 1],
    [7, 5],
    [100, 98],
    [3, 3],
    [3, 2],
    [3, 0],
  ])
    out(`score of q at ${i} with k at ${j}: ${fixed(await score(i, j))}`);
}

title('QK-norm');
{
  const softmax = (xs) => {
    const weights = xs.map((x) => Math.exp(x - Math.max(...xs)));
    return weights.map((w) => w / sum(weights));
  };
  const q = [2, 1, 0, 1];
  const keys = [
    [1, 2, 0, 1],
    [1, 0, 2, -1],
    [-1, 1, 1, 0],
  ];
  const D = q.length;
  const normed = async (x) => {
    const { y } = await runOp((t, v) => t.rmsNorm(v.x, v.weight, EPSILON), {
      x: [[1, D], x],
      weight: [[D], ones(D)],
    });
    agree('QK-norm', rmsNorm(x), y);
    return y;
  };
  const row = (a, ks) => ks.map((k) => dot(a, k) / Math.sqrt(D));
  for (const factor of [1, 4, 16]) {
    const large = q.map((x) => factor * x);
    const scores = row(large, keys);
    const p = softmax(scores);
    out(
      `q × ${factor}: scores ${list(scores, 2)}, probabilities ${list(p)}, slope p·(1 − p) of the first ${(p[0] * (1 - p[0])).toExponential(1)} = ${fixed(p[0] * (1 - p[0]))}`,
    );
    const unit = row(await normed(large), await Promise.all(keys.map(normed)));
    const pUnit = softmax(unit);
    out(
      `  with QK-norm: scores ${list(unit, 2)}, probabilities ${list(pUnit)}, slope ${fixed(pUnit[0] * (1 - pUnit[0]))}`,
    );
  }
  for (const size of [4, 32, 128])
    out(`largest score of a head of ${size} with weights of 1: ${fixed(Math.sqrt(size), 2)}`);
}
