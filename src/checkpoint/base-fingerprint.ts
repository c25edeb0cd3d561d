import { createHash } from 'node:crypto';
import { closeSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRegularFile, readInto } from '../read-file.ts';
import { INDEX, WEIGHTS } from './weights.ts';

/** Samples per file, and bytes per sample. They are closer together than the matrices of a layer are large. */
const SAMPLES = 256;
const SAMPLE_BYTES = 4096;

/**
 * Identifies the weights of a model folder by samples of its files, because reading all of a large model takes seconds.
 * Training changes nearly every number, so different weights differ in their samples.
 */
export function baseFingerprint(folder: string): string {
  const files =
    existsSync(join(folder, WEIGHTS)) || !existsSync(join(folder, INDEX)) ? [WEIGHTS] : shards(folder);
  const hash = createHash('sha256');
  for (const file of files) {
    const path = join(folder, file);
    const { fd, size } = openRegularFile(path);
    try {
      hash.update(`${file} ${size}\n`);
      const length = Math.min(SAMPLE_BYTES, size);
      const bytes = Buffer.alloc(length);
      for (let i = 0; i < SAMPLES; i++) {
        readInto(fd, path, bytes, Math.floor(((size - length) * i) / (SAMPLES - 1)));
        hash.update(bytes);
      }
    } finally {
      closeSync(fd);
    }
  }
  return hash.digest('hex').slice(0, 32);
}

const shards = (folder: string): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.safetensors'))
    .toSorted();
