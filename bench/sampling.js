/**
 * Sampling speed beside Hugging Face transformers: one stream, with a KV cache on both sides, sampling from the whole
 * distribution; and beside the bound set by memory bandwidth, since each token reads all weights once.
 *
 *     npm run build && node bench/sampling.js [nano|baby|gpt2 …] [--rounds 5] [--python .venv/bin/python]
 */
import { benchModels } from '../dist/measure/models.js';
import { alternate, count, gpt, main, median, medianOf, python, times } from './common.js';
import { shapeFlags, titles } from './training.js';

/**
 * Tokens per text, which starts from one token and stays within the block, and texts per round: 1 or 2 s for the rival.
 * `share` of the memory bandwidth is a target, too.
 */
const cases = [
  { name: 'nano', target: 20, tokens: 63, texts: 20 },
  { name: 'baby', target: 5, tokens: 250, texts: 2 },
  { name: 'gpt2', target: 1.2, tokens: 100, texts: 1, share: 0.7 },
  { name: 'gpt2', weights: 'bf16', dtypes: ['float32', 'bfloat16'], target: 2.5, tokens: 100, texts: 1 },
];

export async function measureSampling({ rounds, python: interpreter, models }, log) {
  const rows = [];
  for (const { name, weights = 'f32', dtypes = ['float32'], target, tokens, texts, share } of cases) {
    if (models.length > 0 && !models.includes(name)) continue;
    const flags = { ...shapeFlags(benchModels[name]), tokens };
    const rivals = [];
    for (const dtype of dtypes)
      rivals.push(await python(dtype, interpreter, 'transformers_generate.py', { ...flags, dtype }));
    const contenders = [
      await gpt('sample', { model: name, tokens, weights }),
      await gpt('peak', {}),
      ...rivals,
    ];
    const counts = [texts, 0.3, ...rivals.map(() => texts)];
    const [ours, peaks, ...theirs] = await alternate(contenders, counts, rounds);
    for (const contender of contenders) await contender.close();
    const rate = (answers) => (texts * tokens) / medianOf(answers, 'seconds');
    const rates = theirs.map(rate);
    const fastest = rates.indexOf(Math.max(...rates));
    const { version, threads } = rivals[fastest].ready;
    const title = weights === 'f32' ? titles[name] : `${titles[name]}, weights in ${weights}`;
    rates.forEach((each, i) =>
      log(`${title}: ${count(rate(ours))} tokens/s, transformers ${dtypes[i]} ${count(each)} tokens/s`),
    );
    const ratio = rate(ours) / rates[fastest];
    rows.push({
      work: `sampling, ${title}, one stream`,
      ours: `${count(rate(ours))} tokens/s`,
      rival: `transformers ${version}, ${dtypes[fastest]}, ${threads} threads: ${count(rates[fastest])} tokens/s`,
      value: ratio,
      ratio: times(ratio),
      target: `≥ ${target}×`,
      met: ratio >= target,
    });
    // Nano's weights fit in L2, so memory bandwidth is not the bound.
    if (name !== 'nano')
      rows.push(bandwidthRow(title, { contender: contenders[0], ours, peaks, texts, tokens, share }));
  }
  return rows;
}

/** Bandwidth varies with the load of other virtual machines, so each round is compared with its own measurement. */
function bandwidthRow(title, { contender, ours, peaks, texts, tokens, share }) {
  const read = contender.ready.bytesPerToken * texts * tokens;
  const reached = median(ours.map(({ seconds }, i) => read / seconds / peaks[i].bandwidth));
  return {
    work: `sampling, ${title}: weights read`,
    ours: `${(read / medianOf(ours, 'seconds') / 1e9).toFixed(1)} GB/s`,
    rival: `memory read at ${(medianOf(peaks, 'bandwidth') / 1e9).toFixed(1)} GB/s`,
    value: reached,
    ratio: `${(100 * reached).toFixed(0)} %`,
    target: share === undefined ? '' : `≥ ${100 * share} %`,
    met: share === undefined || reached >= share,
  };
}

await main(import.meta.url, measureSampling);
