/**
 * LoRA training beside PEFT: tokens per second and peak memory on the same CPU, with random weights.
 *
 *     npm run build && node bench/lora.js [135m|tiny] [--rounds 5] [--python .venv/bin/python]
 *
 * The Python needs torch, transformers and peft (test/interop/requirements.txt has them: `npm run test:interop` makes .venv).
 */
import { alternate, count, gpt, main, medianOf, python, times } from './common.js';

/** Llama shapes: `135m` is SmolLM2's. */
const shapes = {
  '135m': { vocab: 49_152, block: 256, layers: 30, heads: 9, kv: 3, channels: 576, inner: 1536, batch: 4 },
  tiny: { vocab: 512, block: 64, layers: 2, heads: 4, kv: 2, channels: 64, inner: 128, batch: 2 },
};
const RANK = 16;
const steps = { '135m': 1, tiny: 20 };

export async function measureLora({ rounds, python: interpreter, models }, log) {
  const rows = [];
  for (const name of models.length > 0 ? models : ['135m']) {
    const flags = { ...shapes[name], rank: RANK };
    const contenders = [await gpt('lora', flags), await python('peft', interpreter, 'peft_train.py', flags)];
    const counts = contenders.map(() => steps[name]);
    const answers = await alternate(contenders, counts, rounds);
    for (const contender of contenders) await contender.close();
    const seconds = answers.map((each) => medianOf(each, 'seconds') / steps[name]);
    const peaks = answers.map((each) => Math.max(...each.map(({ peakBytes }) => peakBytes)));
    contenders.forEach((contender, i) =>
      log(
        `${name}: ${contender.name}, ${JSON.stringify(contender.ready)}: ${(1000 * seconds[i]).toFixed(1)} ms a step, peak ${mb(peaks[i])}`,
      ),
    );
    const { batch, block } = shapes[name];
    const perSecond = (i) => `${count((batch * block) / seconds[i])} tokens/s`;
    const { version, threads } = contenders[1].ready;
    const work = `LoRA of rank ${RANK}, Llama ${name}, block ${block}, batch ${batch}`;
    const ratio = seconds[1] / seconds[0];
    rows.push({
      work,
      ours: perSecond(0),
      rival: `peft ${version}, ${threads} threads: ${perSecond(1)}`,
      value: ratio,
      ratio: times(ratio),
      target: '≥ 1.2×',
      met: ratio >= 1.2,
    });
    rows.push({
      work: `peak memory of ${work}`,
      ours: mb(peaks[0]),
      rival: `peft: ${mb(peaks[1])}`,
      value: peaks[0] / peaks[1],
      ratio: times(peaks[0] / peaks[1]),
      target: '≤ 0.5×',
      met: peaks[0] / peaks[1] <= 0.5,
    });
  }
  return rows;
}

const mb = (bytes) => `${count(bytes / 1e6)} MB`;

await main(import.meta.url, measureLora);
