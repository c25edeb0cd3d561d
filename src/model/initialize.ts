import { Philox, Stream } from '../engine/philox.ts';
import type { ModelConfig } from './config.ts';
import { elements, parameterTable } from './parameters.ts';
import { INITIALIZER_RANGE, type Initialization, type Parameter } from './parameter.ts';
import { Scratch, writeTensor, type TensorTarget } from './tensor.ts';

interface InitializeOptions {
  readonly initialization?: Initialization | undefined;
  /** Receives the number of elements written so far. */
  readonly progress?: (numbers: number) => void;
}

/**
 * Initializes parameters. Each has its own random stream (seed, index in the table), so its values do not depend on which
 * others are initialized.
 */
export function initialize(
  config: ModelConfig,
  seed: number,
  targets: readonly TensorTarget[],
  { initialization = 'gpt2', progress = () => {} }: InitializeOptions = {},
): void {
  const byName = new Map(targets.map((target) => [target.name, target]));
  const scratch = new Scratch();
  let before = 0;
  for (const [index, parameter] of parameterTable(config).entries()) {
    const target = byName.get(parameter.name);
    if (target === undefined) continue;
    const data = scratch.take(elements(parameter.shape));
    const random = new Philox(seed, index, Stream.init);
    const init = (initialization === 'fan-in' ? parameter.fanIn : undefined) ?? parameter.init;
    fill({ ...parameter, init }, data, random, (numbers) => progress(before + numbers));
    writeTensor(target, data);
    before += data.length;
    progress(before);
  }
}

/** Numbers between two reports of progress: a few milliseconds' worth. */
const REPORT_EVERY = 1 << 16;

function fill(
  { init, shape }: Parameter,
  data: Float32Array,
  random: Philox,
  progress: (numbers: number) => void,
): void {
  switch (init.kind) {
    case 'constant':
      data.fill(init.value);
      return;
    case 'normal':
      for (let start = 0; start < data.length; start += REPORT_EVERY) {
        fillNormal(data.subarray(start, start + REPORT_EVERY), init.std, random);
        progress(Math.min(start + REPORT_EVERY, data.length));
      }
      return;
    case 'uniform':
      for (let i = 0; i < data.length; i++) data[i] = init.bound * (2 * random.uniform() - 1);
      return;
    case 'sinusoidal':
      sinusoids(data, shape[0], shape[1]);
      return;
    default:
      init satisfies never;
  }
}

function fillNormal(data: Float32Array, std: number, random: Philox): void {
  for (let i = 0; i < data.length; i += 2) {
    const [a, b] = random.normalPair();
    data[i] = a * std;
    if (i + 1 < data.length) data[i + 1] = b * std;
  }
}

/**
 * PE[t, 2i] = sin(t/10000^(2i/C)), PE[t, 2i+1] = cos(same) (Vaswani et al. 2017, section 3.5), T positions, C channels.
 * The waves are scaled to the std of the token embeddings; at amplitude 1 they would drown the tokens. (The
 * original multiplies the token embeddings by √C instead, which a tied GPT-2 head cannot.)
 */
function sinusoids(data: Float32Array, T: number, C: number): void {
  const scale = INITIALIZER_RANGE * Math.SQRT2; // a sine of amplitude √2·σ has standard deviation σ
  for (let t = 0; t < T; t++)
    for (let c = 0; c < C; c++) {
      const angle = t / 10000 ** ((c - (c % 2)) / C);
      data[t * C + c] = scale * (c % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
    }
}
