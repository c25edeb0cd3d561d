import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { printRunTable } from '../../../src/cli/train/run-table.ts';
import { train, type RunDescription } from '../../../src/index.ts';

test('the plan says what a folder given as --val-file leaves out, and what finding the device took of a short run', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plan-table-'));
  const text = 'the white whale and the sea.\n'.repeat(20);
  writeFileSync(join(folder, 'corpus.txt'), text);
  mkdirSync(join(folder, 'held-out'));
  writeFileSync(join(folder, 'held-out', 'a.txt'), text);
  writeFileSync(join(folder, 'held-out', 'b.png'), Buffer.of(0x89, 0x50, 0, 0));
  let planned: RunDescription | undefined;
  await train(
    {
      corpus: [join(folder, 'corpus.txt')],
      valFile: join(folder, 'held-out'),
      outDir: join(folder, 'run'),
      nLayer: 1,
      nHead: 1,
      nEmbd: 8,
      blockSize: 8,
      batchSize: 2,
      maxIters: 1,
      sampleTokens: 0,
    },
    { start: (run) => (planned = run) },
  );
  let shown = '';
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((line) => {
    shown += String(line);
    return true;
  });
  printRunTable(planned!);
  printRunTable({ ...planned!, expectedSeconds: 9, decisionSeconds: 2.3 });
  printRunTable({ ...planned!, expectedSeconds: 10, decisionSeconds: 2.3, isLimitedByText: true });
  printRunTable({ ...planned!, expectedSeconds: 60, decisionSeconds: 2.3 });
  write.mockRestore();
  const finding = 'finding the faster of CPU and GPU took 2.3s\n';
  expect(shown).toMatch(new RegExp(`time +about 9s; ${finding}`));
  expect(shown).toMatch(
    new RegExp(`time +about 10s; more than \\d+ epochs would memorize the text; ${finding}`),
  );
  expect(shown).toMatch(/time +about 1m 00s\n/);
  expect(shown).toMatch(/validation +.*held-out, 1 file, 580 B, 580 characters; left out: 1 binary\n/);
});
