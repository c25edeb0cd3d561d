import { SIGNAL_POLL_SECONDS, type InParts } from '../polling.ts';
import type { Device, Loaded } from './device.ts';

/**
 * Runs a program in equal parts: as many as needed to stay interruptible, at most one per instruction. The last part may
 * still be running at the end.
 *
 * @param count number of instructions
 * @param seconds expected duration; undefined: not known yet
 * @param reached called between two parts with the number of instructions that have completed
 */
export async function* runInParts(
  device: Device,
  loaded: Loaded,
  count: number,
  seconds: number | undefined,
  reached?: (instructions: number) => void | Promise<void>,
): InParts<void> {
  const wanted = seconds === undefined ? Infinity : Math.ceil(seconds / SIGNAL_POLL_SECONDS);
  const parts = Math.min(count, Math.max(1, wanted));
  for (let part = 0; part < parts; part++) {
    const start = Math.floor((count * part) / parts);
    if (part > 0) {
      await device.finish();
      await reached?.(start);
      yield;
    }
    loaded.submit(start, Math.floor((count * (part + 1)) / parts));
  }
}
