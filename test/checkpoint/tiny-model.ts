import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { elements, parameterTable } from '../../src/model/parameters.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';

export const tokenizer = createCharTokenizer(['a', 'b', '<unk>']);

export const config: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 3,
  blockSize: 4,
  nLayer: 1,
  nHead: 2,
  nEmbd: 4,
  nInner: 16,
  dropout: 0.1,
};

/** Its tensors, filled with a number for each of their elements. */
export const tensorsOf = (number: (tensor: number, element: number) => number) =>
  parameterTable(config).map(({ name, shape }, k) => ({
    name,
    shape,
    data: Float32Array.from({ length: elements(shape) }, (_, i) => number(k, i)),
  }));
