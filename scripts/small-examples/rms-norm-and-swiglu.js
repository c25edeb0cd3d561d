/** Computes the numbers of docs/understanding/rms-norm-and-swiglu.md. */
import { elements, parameterTable } from '../../dist/model/parameters.js';
import {
  out,
  title,
  fixed,
  list,
  sum,
  dot,
  rms,
  ones,
  agree,
  runOp,
  slope,
  EPSILON,
  rmsNorm,
  small,
} from './common.js';

title('RMSNorm');
{
  const layerNorm = (x) => {
    const mean = sum(x) / x.length;
    return rmsNorm(x.map((each) => each - mean));
  };
  const x = [4, -2, 1, 3];
  for (const [name, each] of Object.entries({
    x,
    '10·x': x.map((a) => 10 * a),
    'x + 5': x.map((a) => a + 5),
  })) {
    const { y } = await runOp((t, v) => t.rmsNorm(v.x, v.weight, EPSILON), {
      x: [[1, 4], each],
      weight: [[4], ones(4)],
    });
    agree('RMSNorm', rmsNorm(each), y);
    out(
      `${name}: root mean square ${fixed(rms(each), 3)}; RMSNorm ${list(y)}; LayerNorm ${list(layerNorm(each))}`,
    );
  }
  const dY = [1, 0, 0, 0];
  const { gradients } = await runOp(
    (t, v) => t.rmsNorm(v.x, v.weight, EPSILON),
    { x: [[1, 4], x], weight: [[4], ones(4)] },
    { dOut: dY },
  );
  agree('derivative of RMSNorm', slope(rmsNorm, x, dY), gradients.x);
  out(
    `dY = 1 0 0 0: rstd ${fixed(1 / rms(x), 4)}, mean of dX̂·x̂ ${fixed(dot(dY, rmsNorm(x)) / 4, 4)}, dX ${list(gradients.x, 4)}, x·dX ${fixed(dot(x, gradients.x), 4)}, dWeight ${list(gradients.weight)}`,
  );
}

title('SwiGLU');
{
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const silu = (x) => x * sigmoid(x);
  const swiglu = (gate, up) => [silu(gate) * up];
  const record = (t, v) => t.swiglu(v.gate, v.up);
  for (const x of [-3, -1, -0.5, 0, 0.5, 1, 3]) {
    const { y, gradients } = await runOp(record, { gate: [[1], [x]], up: [[1], [1]] }, { dOut: [1] });
    agree('SiLU', [silu(x)], y);
    out(`silu(${fixed(x, 1)}) = ${fixed(y[0], 4)}, silu′ = ${fixed(gradients.gate[0], 4)}`);
  }
  for (const [gate, up] of [
    [2, -1.5],
    [-2, -1.5],
    [2, 3],
  ]) {
    const { y, gradients } = await runOp(record, { gate: [[1], [gate]], up: [[1], [up]] }, { dOut: [1] });
    agree('SwiGLU', swiglu(gate, up), y);
    agree(
      'dGate',
      slope(([g]) => swiglu(g, up), [gate], [1]),
      gradients.gate,
    );
    agree(
      'dUp',
      slope(([u]) => swiglu(gate, u), [up], [1]),
      gradients.up,
    );
    out(
      `gate ${gate}, up ${up}: y ${fixed(y[0], 4)}, dGate ${fixed(gradients.gate[0], 4)}, dUp ${fixed(gradients.up[0], 4)}`,
    );
  }
  const C = small.nEmbd;
  const mlp = parameterTable(small).filter(({ part, layer }) => part === 'MLP' && layer === 0);
  const F = mlp[0].shape[0];
  out(
    `C = ${C}: 8/3·C = ${fixed((8 * C) / 3, 1)}, F = ${F}; ${sum(mlp.map(({ shape }) => elements(shape)))} weights in three matrices, ${8 * C * C} in GPT-2's two`,
  );
}
