/** A tiny model that the tests of this folder share: random, and sure enough of itself that texts differ. */
import type { Backend } from '../../src/engine/device.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { initialise } from '../../src/model/initialise.ts';
import type { NamedTensor } from '../../src/model/placement.ts';

export const tinyConfig: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 31,
  blockSize: 12,
  nLayer: 2,
  nHead: 3,
  nEmbd: 24,
  dropout: 0.2,
};

/** Writes its parameters. */
export function loadTiny(tensors: readonly NamedTensor[], config = tinyConfig): void {
  const data = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
  initialise(config, 3, (name) => data.get(name)!);
  for (const [name, values] of data)
    if (name.endsWith('weight')) values.forEach((x, i) => (values[i] = 8 * x));
}

export const tinyDecoder = (backend: Backend, texts = 1, config = tinyConfig): Decoder =>
  Decoder.create(backend, config, (tensors) => loadTiny(tensors, config), texts);
