/**
 * How close training comes to the limits of this computer: the speed-up from a second thread, beside that from a second
 * process; the fraction of peak that a whole training step reaches; and the time until a run's first step.
 *
 *     npm run build && node bench/limits.js [--rounds 5] [--corpus data/moby-dick.txt]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alternate, count, gpt, main, median, medianOf, times } from './common.js';
import { titles } from './training.js';

export async function measureLimits({ rounds, corpus }, log) {
  const contenders = [
    await gpt('train', { model: 'baby', threads: 2 }),
    await gpt('train', { model: 'baby', threads: 1 }),
    await gpt('train', { model: 'baby', threads: 1 }),
    await gpt('peak', { threads: 2 }),
  ];
  const [pair, single, other, products] = contenders;
  // The speed-up of two independent processes is an upper bound for that of two threads.
  const both = {
    async run(steps) {
      const [a, b] = await Promise.all([single.run(steps), other.run(steps)]);
      return { seconds: Math.max(a.seconds, b.seconds) };
    },
  };
  const answers = await alternate([pair, single, both, products], [2, 1, 1, 0.5], rounds);
  for (const contender of contenders) await contender.close();
  const two = medianOf(answers[0], 'seconds') / 2;
  const one = medianOf(answers[1], 'seconds');
  const apart = medianOf(answers[2], 'seconds') / 2;
  const { tokensPerStep, flopsPerStep } = contenders[0].ready;
  const peak = medianOf(answers[3], 'flops');
  log(
    `one thread ${(1000 * one).toFixed(0)} ms, two ${(1000 * two).toFixed(0)} ms, two processes ${(1000 * apart).toFixed(0)} ms; peak ${(peak / 1e9).toFixed(0)} GFLOP/s`,
  );
  const first = median(await firstSteps(corpus, rounds));
  return [
    {
      work: `two threads, ${titles.baby}`,
      ours: `${count(tokensPerStep / two)} tokens/s`,
      rival: `one thread: ${count(tokensPerStep / one)} tokens/s (two such processes at once: ${times(one / apart)})`,
      value: one / two,
      ratio: times(one / two),
      target: '≥ 1.85×',
      met: one / two >= 1.85,
    },
    {
      work: `model FLOP/s, ${titles.baby}`,
      ours: `${(flopsPerStep / two / 1e9).toFixed(0)} GFLOP/s`,
      rival: `measured peak of matrix products: ${(peak / 1e9).toFixed(0)} GFLOP/s`,
      value: flopsPerStep / two / peak,
      ratio: `${((100 * flopsPerStep) / two / peak).toFixed(0)} %`,
      target: '≥ 75 %',
      met: flopsPerStep / two / peak >= 0.75,
    },
    {
      work: `from the start of \`gpt train\` to the first step, ${titles.nano}`,
      ours: `${first.toFixed(2)} s`,
      rival: '–',
      value: first,
      ratio: '–',
      target: '< 1 s',
      met: first < 1,
    },
  ];
}

/** Seconds from process start, including vocabulary and tokenization, until a real run reports its first loss. */
async function firstSteps(corpus, rounds) {
  const folder = mkdtempSync(join(tmpdir(), 'gpt-bench-'));
  const program = fileURLToPath(new URL('../bin/gpt.js', import.meta.url));
  const flags = ['--preset', 'nano', '--sample-tokens', '0'];
  const seconds = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const child = spawn(
      process.execPath,
      [program, 'train', corpus, ...flags, '-o', join(folder, String(round))],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    child.stderr.setEncoding('utf8');
    let text = '';
    for await (const chunk of child.stderr) {
      text += chunk;
      if (!text.includes('first loss')) continue;
      seconds.push((performance.now() - start) / 1000);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
      break;
    }
    if (seconds.length === round) throw new Error(`gpt train failed: ${text}`);
  }
  rmSync(folder, { recursive: true });
  return seconds;
}

await main(import.meta.url, measureLimits);
