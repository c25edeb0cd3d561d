import { Philox, Stream } from '../engine/philox.ts';
import type { ModelConfig } from './config.ts';
import { parameterTable } from './parameters.ts';
import type { Parameter } from './parameter.ts';

/**
 * Initializes a parameter. Each has its own random stream (seed, index in the table), so its values do not depend on the
 * order.
 *
 * @param destination the parameter's memory, row-major
 */
export function initialise(
  config: ModelConfig,
  seed: number,
  destination: (name: string) => Float32Array | Float64Array,
): void {
  parameterTable(config).forEach((parameter, index) =>
    fill(parameter, destination(parameter.name), new Philox(seed, index, Stream.init)),
  );
}

function fill({ init, shape }: Parameter, data: Float32Array | Float64Array, random: Philox): void {
  switch (init.kind) {
    case 'constant':
      data.fill(init.value);
      return;
    case 'normal':
      for (let i = 0; i < data.length; i += 2) {
        const [a, b] = random.normalPair();
        data[i] = a * init.std;
        if (i + 1 < data.length) data[i + 1] = b * init.std;
      }
      return;
    case 'sinusoidal':
      sinusoids(data, shape[0], shape[1]);
      return;
    default:
      init satisfies never;
  }
}

/**
 * PE[t, 2i] = sin(t/10000^(2i/C)), PE[t, 2i+1] = cos(same) (Vaswani et al. 2017, section 3.5), T positions, C channels.
 * Token embeddings start with std 0.02, so the waves are scaled to match; at amplitude 1 they would drown the tokens. (The
 * original multiplies the token embeddings by √C instead, which a tied GPT-2 head cannot.)
 */
function sinusoids(data: Float32Array | Float64Array, T: number, C: number): void {
  const scale = 0.02 * Math.SQRT2; // a sine of amplitude √2·σ has standard deviation σ
  for (let t = 0; t < T; t++)
    for (let c = 0; c < C; c++) {
      const angle = t / 10000 ** ((c - (c % 2)) / C);
      data[t * C + c] = scale * (c % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
    }
}
