/** The tiny random model that the tests of this folder share. */
import type { Device } from '../../src/engine/device.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { loadRandom } from '../fixtures/random-model.ts';

export const tinyConfig: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 31,
  blockSize: 12,
  nLayer: 2,
  nHead: 3,
  nEmbd: 24,
  dropout: 0.2,
};

export const tinyDecoder = (device: Device, texts = 1, config = tinyConfig): Decoder =>
  Decoder.create(device, config, (targets) => loadRandom(config, targets), texts);
