/** What general-purpose compressors make of a text: their idea of how predictable it is. */
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { UserError } from '../../errors.ts';

/** The compressed size in bytes; undefined where the compressor is not installed. */
type Compressor = (bytes: Uint8Array) => number | undefined;

/**
 * Each at its best. gzip looks back 32 KiB; xz at level 9 looks back 64 MiB, so only it can make use of a whole training
 * text. Node has no xz: the program of that name does it, where it is installed.
 */
export const compressors: Readonly<Record<'gzip' | 'xz', Compressor>> = {
  gzip: (bytes) => gzipSync(bytes, { level: 9 }).length,
  xz(bytes) {
    const { error, status, stdout, stderr } = spawnSync('xz', ['-9e', '--threads=1', '--stdout'], {
      input: bytes,
      maxBuffer: bytes.length + 2 ** 20,
    });
    if (error !== undefined && 'code' in error && error.code === 'ENOENT') return undefined;
    if (error !== undefined) throw error;
    if (status !== 0) throw new UserError('tool-failed', `xz failed: ${stderr.toString().trim()}`);
    return stdout.length;
  },
};
export type CompressorName = keyof typeof compressors;

export interface Compression {
  /** Of the compressed text, per byte of the text. */
  readonly alone: number;
  /** What the text adds to the compressed training text in front of it, per byte: to one who has read that. */
  readonly afterTraining: number;
}

/** Compresses texts, by themselves and after a training text; in bits per byte, undefined if it is not installed. */
export function trainCompressor(
  name: CompressorName,
  training: Uint8Array,
): (text: Uint8Array) => Compression | undefined {
  const compressor = compressors[name];
  const before = compressor(training);
  return (text) => {
    const [alone, both] = [compressor(text), compressor(Buffer.concat([training, text]))];
    if (before === undefined || alone === undefined || both === undefined) return undefined;
    return {
      alone: (8 * alone) / text.length,
      afterTraining: (8 * (both - before)) / text.length,
    };
  };
}
