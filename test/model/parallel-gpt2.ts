/**
 * GPT-2 with attention and MLP side by side, as in GPT-J (Wang & Komatsuzaki 2021): x + attention(ln(x)) + mlp(ln(x)). Not a
 * model that anybody needs: it shows that an architecture is one file and one line of the registry.
 */
import { splitChannels, type Value } from '../../src/autodiff/graph.ts';
import { cachedAttention, type AttentionOperands } from '../../src/autodiff/ops/attention.ts';
import type { Architecture } from '../../src/model/architecture.ts';
import { gpt2, gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';

const NAME = 'parallel-gpt2';
/** Of the output head in a file; the model itself has none, as it is tied. */
export const HEAD = 'embed_out.weight';

export const parallelGpt2: Architecture<Gpt2Config> = {
  ...gpt2,
  name: NAME,
  describe: () => 'parallel blocks',
  parameters: (config) => gpt2.parameters(config).filter(({ kind }) => !kind.startsWith('ln_2.')),

  forward(t, config, p, inputs) {
    const randomness = { rng: inputs.rng, probability: inputs.dropout };
    const linear = (x: Value, name: string): Value =>
      t.linear(x, p(`${name}.weight`), p(`${name}.bias`), inputs);
    const attention: AttentionOperands[] = [];
    let x = t.add(t.embedding(inputs.ids, p('wte.weight')), t.embedding(inputs.positions, p('wpe.weight'))); // [B,T,C]
    const residuals = [x];
    for (let l = 0; l < config.nLayer; l++) {
      const cache = inputs.caches?.[l];
      const h = t.layerNorm(x, p(`h.${l}.ln_1.weight`), p(`h.${l}.ln_1.bias`), config.layerNormEpsilon);
      const [q, k, v] = splitChannels(linear(h, `h.${l}.attn.c_attn`), 3); // each [B,T,C]
      attention.push({ q, k, v });
      const y =
        cache === undefined
          ? t.attention({ q, k, v }, config.nEmbd / config.nHead, randomness, l)
          : cachedAttention(t, { q, k, v }, inputs.positions, cache); // [B,T,C]
      const z = linear(t.gelu(linear(h, `h.${l}.mlp.c_fc`)), `h.${l}.mlp.c_proj`); // [B,T,C]
      x = t.add(x, t.add(linear(y, `h.${l}.attn.c_proj`), z));
      residuals.push(x);
    }
    return { hidden: gpt2.finalNorm(t, config, p, x), residuals, attention };
  },

  huggingFace: {
    ...gpt2.huggingFace,
    head: HEAD,
    modelTypes: [NAME],
    toConfigJson: (config) => ({
      ...gpt2.huggingFace.toConfigJson(config),
      architectures: ['ParallelGPT2'],
      model_type: NAME,
    }),
    fromConfigJson(json) {
      const described = gpt2.huggingFace.fromConfigJson(json);
      return { ...described, config: { ...described.config, arch: NAME } };
    },
  },
  gradientExamples: [
    {
      name: 'parallel blocks',
      config: {
        ...gpt2Defaults,
        arch: NAME,
        vocabSize: 11,
        blockSize: 6,
        nLayer: 2,
        nHead: 2,
        nEmbd: 8,
        dropout: 0.2,
      },
    },
  ],
};
