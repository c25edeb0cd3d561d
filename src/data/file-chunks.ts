/** The bytes of files and pipes, a chunk at a time. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes read at once. */
const CHUNK = 1 << 20;

/** The bytes of a file. */
export function* fileChunks(path: string): Generator<Uint8Array> {
  const fd = openSync(path, 'r');
  try {
    // A small file needs no full chunk. Pipes and the files of /proc have size 0; one byte more sees the end.
    const { size } = fstatSync(fd);
    yield* chunksOf(fd, size === 0 ? CHUNK : Math.min(CHUNK, size + 1));
  } finally {
    closeSync(fd);
  }
}

/** The bytes of an open file, each chunk in memory of its own. @param most bytes in a chunk */
export function* chunksOf(fd: number, most = CHUNK): Generator<Uint8Array> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(most);
    const length = readSome(fd, chunk);
    if (length === 0) return;
    // A pipe delivers little at a time: a kept slice must not hold on to its whole buffer.
    yield length < most / 2 ? Buffer.from(chunk.subarray(0, length)) : chunk.subarray(0, length);
  }
}

/** Reads what is there. A terminal or pipe that is not ready yet says EAGAIN: ask again shortly. */
function readSome(fd: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, chunk);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0; // Windows says so at the end of a pipe
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
