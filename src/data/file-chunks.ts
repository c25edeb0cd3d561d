/** Reads files and pipes in chunks. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { naming } from '../errors.ts';

/** Bytes per read. */
const CHUNK = 1 << 20;

export function* fileChunks(path: string): Generator<Uint8Array> {
  const fd = openSync(path, 'r');
  try {
    // Small files get small buffers. Pipes and files in /proc have size 0; the extra byte detects the end.
    const { size } = fstatSync(fd);
    yield* chunksOf(fd, path, size === 0 ? CHUNK : Math.min(CHUNK, size + 1));
  } finally {
    closeSync(fd);
  }
}

export const stdinChunks = (): Generator<Uint8Array> => chunksOf(0, 'stdin', CHUNK);

/** Reads an open file; each chunk has its own memory. @param name for errors @param most bytes per chunk */
function* chunksOf(fd: number, name: string, most: number): Generator<Uint8Array> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(most);
    const length = naming(name, () => readSome(fd, chunk));
    if (length === 0) return;
    // Pipes deliver little at a time, and a slice would retain the whole buffer.
    yield length < most / 2 ? Buffer.from(chunk.subarray(0, length)) : chunk.subarray(0, length);
  }
}

/** Retries EAGAIN, which a terminal or pipe without data reports. */
function readSome(fd: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, chunk);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0; // end of a pipe on Windows
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
