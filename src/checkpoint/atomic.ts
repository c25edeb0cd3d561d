/**
 * Writing files so that nobody ever sees half of one: to a temporary name in the same folder, flushed to the disk, then
 * renamed over the old file, then the folder itself flushed. A crash at any instant leaves the old file or the new one.
 */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export type Bytes = Uint8Array | Float32Array;

/** One write(2) takes at most 2³¹ − 1 bytes, and some systems less: far below that, nothing is gained by more. */
const LARGEST_WRITE = 64 << 20;

/** Replaces `path` with these pieces, one behind the other. On failure the old file is untouched and the error is thrown. */
export function writeFileAtomic(path: string, pieces: Iterable<Bytes | string>): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'w', 0o666);
  try {
    try {
      for (const piece of pieces) writeAll(fd, typeof piece === 'string' ? Buffer.from(piece) : piece);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  }
  syncFolder(dirname(path));
}

/** A write may take less than it was given (a full disk, a signal): goes on until all is written or there is an error. */
function writeAll(fd: number, piece: Bytes): void {
  const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  let done = 0;
  while (done < bytes.length)
    done += writeSync(fd, bytes, done, Math.min(LARGEST_WRITE, bytes.length - done));
}

/** Makes a rename last: it is the folder that holds the names. Windows has no such call, and does not need it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Removes what killed processes left half-written in a folder; files of processes that still run stay. */
export function sweepTemporaries(folder: string): void {
  for (const file of readdirSync(folder)) {
    const pid = /\.(\d+)\.tmp$/.exec(basename(file))?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) removeIfThere(join(folder, file));
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false; // ours, and we have just started
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
