/** General-purpose compressors as baselines for how predictable a text is. */
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { UserError } from '../../errors.ts';

/** Compressed size in bytes; undefined if the compressor is not installed. */
type Compressor = (bytes: Uint8Array) => number | undefined;

/**
 * At their best settings. gzip's window is 32 KiB; that of xz at level 9 is 64 MiB, so only xz benefits from a whole
 * training text. Node lacks xz, so the program is used if it is installed.
 */
export const compressors: Readonly<Record<'gzip' | 'xz', Compressor>> = {
  gzip: (bytes) => gzipSync(bytes, { level: 9 }).length,
  xz(bytes) {
    const { error, status, stdout, stderr } = spawnSync('xz', ['-9e', '--threads=1', '--stdout'], {
      input: bytes,
      maxBuffer: bytes.length + 2 ** 20,
    });
    if (error !== undefined && 'code' in error && error.code === 'ENOENT') return undefined;
    // A program that exits before it has read its input causes EPIPE; its exit status gives the reason.
    if (error !== undefined && !('code' in error && error.code === 'EPIPE')) throw error;
    if (status !== 0)
      throw new UserError('tool-failed', `xz failed: ${stderr.toString().trim()}`, {
        hint: 'check that `xz -9e` works in a shell; without xz in PATH its baseline is omitted',
      });
    return stdout.length;
  },
};
export type CompressorName = keyof typeof compressors;

export interface Compression {
  /** Compressed bits per byte of the text. */
  readonly alone: number;
  /** Additional compressed bits per byte of the text when it follows the training text. */
  readonly afterTraining: number;
}

/** Compresses texts, alone and after a training text. Bits per byte; undefined if the compressor is not installed. */
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
