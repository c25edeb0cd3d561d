/**
 * Training speed and peak memory beside PyTorch: same architecture, fused AdamW, the faster of eager and compiled, at
 * PyTorch's best thread count.
 *
 *     npm run build && node bench/training.js [nano|baby|gpt2 …] [--rounds 5] [--python .venv/bin/python]
 *
 * The Python needs torch (test/interop/requirements.txt has it: `npm run test:interop` makes .venv).
 */
import { benchModels } from '../dist/measure/models.js';
import { alternate, count, gpt, main, medianOf, python, times } from './common.js';

export const titles = { nano: 'nano (4/4/128)', baby: '6/6/384', gpt2: 'GPT-2 124M' };
const targets = { nano: 1.5, baby: 1.2, gpt2: 1.2 };
const steps = { nano: 60, baby: 2, gpt2: 1 };

export const shapeFlags = ({ config }) => ({
  vocab: config.vocabSize,
  block: config.blockSize,
  layers: config.nLayer,
  heads: config.nHead,
  channels: config.nEmbd,
});

export async function measureTraining({ rounds, python: interpreter, models }, log) {
  const rows = [];
  for (const name of models.length > 0 ? models : Object.keys(benchModels)) {
    const model = benchModels[name];
    const flags = { ...shapeFlags(model), batch: model.batchSize };
    const contenders = [
      await gpt('train', { model: name }),
      await python('PyTorch', interpreter, 'pytorch_train.py', flags),
      await python('PyTorch compiled', interpreter, 'pytorch_train.py', { ...flags, compile: true }),
    ];
    const answers = await alternate(
      contenders,
      contenders.map(() => steps[name]),
      rounds,
    );
    for (const contender of contenders) await contender.close();
    const seconds = answers.map((each) => medianOf(each, 'seconds') / steps[name]);
    const peaks = answers.map((each) => Math.max(...each.map(({ peakBytes }) => peakBytes)));
    contenders.forEach((contender, i) =>
      log(
        `${name}: ${contender.name}, ${JSON.stringify(contender.ready)}: ${(1000 * seconds[i]).toFixed(1)} ms a step, peak ${mb(peaks[i])}`,
      ),
    );
    const rival = seconds[1] <= seconds[2] ? 1 : 2;
    const perSecond = (i) => (model.batchSize * model.config.blockSize) / seconds[i];
    const { version, threads } = contenders[rival].ready;
    rows.push({
      work: `training, ${titles[name]}, block ${model.config.blockSize}, batch ${model.batchSize}`,
      ours: `${count(perSecond(0))} tokens/s`,
      rival: `PyTorch ${version}${rival === 2 ? ', compiled' : ''}, ${threads} threads: ${count(perSecond(rival))} tokens/s`,
      value: seconds[rival] / seconds[0],
      ratio: times(seconds[rival] / seconds[0]),
      target: `≥ ${targets[name]}×`,
      met: seconds[rival] / seconds[0] >= targets[name],
    });
    const least = Math.min(...peaks.slice(1)); // the lower of the two, even if the other is faster
    rows.push({
      work: `peak memory of training, ${titles[name]}`,
      ours: mb(peaks[0]),
      rival: `PyTorch: ${mb(least)}`,
      value: peaks[0] / least,
      ratio: times(peaks[0] / least),
      target: name === 'gpt2' ? '–' : '≤ 0.5×',
      met: name === 'gpt2' || peaks[0] / least <= 0.5,
    });
  }
  return rows;
}

const mb = (bytes) => `${count(bytes / 1e6)} MB`;

await main(import.meta.url, measureTraining);
