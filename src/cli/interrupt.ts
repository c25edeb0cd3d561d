/**
 * Ctrl-C and its relatives, for commands with something to save. The first signal only sets a flag, which the work looks
 * at between steps; a second one ends the process on the spot.
 */

import { setTimeout as sleep } from 'node:timers/promises';

/** Thrown once everything is saved; the process then ends by the signal it was sent, so a shell sees 130 or 143. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: NodeJS.Signals;
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}

export interface Interrupt {
  /** The signal that arrived, if one did. Signals are delivered between synchronous stretches: yield with setImmediate. */
  readonly signal: NodeJS.Signals | undefined;
  /**
   * Whether a signal has arrived. Once this says yes, nobody listens any more: a second signal ends the process on the
   * spot even while it does nothing but write a file.
   */
  arrived(): Promise<boolean>;
  /** Stops listening. Throws `Interrupted` if a signal had arrived. */
  end(): void;
  /** Stops listening; a signal that had arrived ended only what was being done. */
  dismiss(): void;
}

// SIGHUP is what a closing terminal sends. Node undoes an inherited "ignore" of it, so `nohup` alone does not protect.
const signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

// `timeout`, a process manager that signals the whole group, the launcher and a held-down Ctrl-C all send one wish twice.
const sameWishMs = 300;

/** Starts to listen. `onFirst` may tell the user what happens now. */
export function onInterrupt(onFirst: (signal: NodeJS.Signals) => void = () => {}): Interrupt {
  let first: { signal: NodeJS.Signals; at: number } | undefined;

  const listen = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first === undefined) {
      first = { signal, at: now };
      onFirst(signal);
    } else if (now - first.at > sameWishMs) {
      stopListening();
      raise(signal);
    }
  };
  const stopListening = (): void => {
    for (const signal of signals) process.off(signal, listen);
  };

  for (const signal of signals) process.on(signal, listen);
  return {
    get signal() {
      return first?.signal;
    },
    async arrived() {
      if (first === undefined) return false;
      await sleep(Math.max(0, first.at + sameWishMs - performance.now()));
      stopListening();
      return true;
    },
    end() {
      stopListening();
      if (first !== undefined) throw new Interrupted(first.signal);
    },
    dismiss: stopListening,
  };
}

/** Ends the process by `signal`, for which nobody may be listening any more. */
export function raise(signal: NodeJS.Signals): void {
  // Windows has no signals to die of; the number is the one a shell on Unix would show.
  if (process.platform === 'win32') process.exit(signal === 'SIGINT' ? 130 : 143);
  process.kill(process.pid, signal);
}
