import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { compressors, trainCompressor } from '../../../src/evaluate/baselines/compressors.ts';
import { failure } from '../../fixtures/failure.ts';

const text = Buffer.from(Array.from({ length: 3000 }, (_, i) => `${(i * i) % 977} whales`).join(' '));
const hasXz = spawnSync('xz', ['--version']).status === 0;

test('gzip returns the size of data that gunzip restores', () => {
  const compressed = gzipSync(text, { level: 9 });
  expect(gunzipSync(compressed).equals(text)).toBe(true);
  expect(trainCompressor('gzip', Buffer.alloc(0))(text)?.alone).toBeCloseTo(
    (8 * compressed.length) / text.length,
    12,
  );
});

test.skipIf(!hasXz)('xz remembers a training text of any length, gzip only its end', () => {
  const noise = Buffer.from(
    Array.from({ length: 40_000 }, (_, i) => ((i * 7919) % 104_729).toString(36)).join(' '),
  );
  const training = Buffer.concat([text, noise]);
  const [gzip, xz] = (['gzip', 'xz'] as const).map((name) => trainCompressor(name, training)(text)!);
  expect(xz.afterTraining).toBeLessThan(0.05 * xz.alone);
  expect(gzip.afterTraining).toBeGreaterThan(0.9 * gzip.alone);
});

test('a compressor that is not installed gives undefined', () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    expect(compressors.xz(text)).toBeUndefined();
    expect(trainCompressor('xz', text)(text)).toBeUndefined();
  } finally {
    process.env['PATH'] = path;
  }
});

test.skipIf(process.platform === 'win32')('a failing xz is reported with a way out', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xz-'));
  writeFileSync(join(folder, 'xz'), '#!/bin/sh\ncat > /dev/null\necho out of memory >&2\nexit 1\n', {
    mode: 0o755,
  });
  const path = process.env['PATH'];
  process.env['PATH'] = `${folder}:${path}`;
  try {
    expect(() => compressors.xz(text)).toThrow(failure('tool-failed', 'xz', 'out of memory'));
    expect(() => compressors.xz(text)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('xz') as string }),
    );
  } finally {
    process.env['PATH'] = path;
  }
});
