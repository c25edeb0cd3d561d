import { closeSync, constants, existsSync, fsyncSync } from 'node:fs';
import { naming } from '../errors.ts';
import { FILE_OF_RUN, openRegularFile } from '../read-file.ts';
import { writeAll } from '../write-file.ts';

/** An append-only file. Data that could not be written, for example to a full disk, is kept for the next write. */
export class GrowingFile {
  readonly path: string;
  /** Bytes written successfully. */
  #length: number;
  #pending: Buffer[] = [];

  constructor(path: string, length = 0) {
    this.path = path;
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  /** Queues bytes for the next `write`. */
  add(bytes: Buffer): void {
    this.#pending.push(bytes);
  }

  /** Writes the queued bytes. @param flush to disk @throws a system error if that fails */
  write(flush: boolean): void {
    if (this.#pending.length === 0 && (!flush || !existsSync(this.path))) return;
    const flags = constants.O_RDWR | constants.O_CREAT;
    const { fd, size } = openRegularFile(this.path, { ...FILE_OF_RUN, flags });
    try {
      const start = Math.min(this.#length, size); // another program may have truncated it
      const bytes = Buffer.concat(this.#pending);
      naming(this.path, () => {
        writeAll(fd, bytes, start); // overwrites what a failed attempt left
        if (flush) fsyncSync(fd);
      });
      this.#length = start + bytes.length;
      this.#pending = [];
    } finally {
      closeSync(fd);
    }
  }
}
