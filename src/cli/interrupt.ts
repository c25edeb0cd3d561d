/**
 * Ctrl-C and related signals, for commands with something to save. The first signal sets a flag that the work polls between
 * steps; a second one ends the process at once.
 */

import { setTimeout as sleep } from 'node:timers/promises';

/** Thrown after saving. The process then ends by the signal it received, so a shell sees 130 or 143. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: NodeJS.Signals;
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}

export interface Interrupt {
  /** The signal that has arrived, if any. Signals are delivered when the event loop turns: yield with setImmediate. */
  readonly signal: NodeJS.Signals | undefined;
  /**
   * Whether a signal has arrived. Once this returns true, the handlers are removed, and a second signal ends the process at
   * once, even while it writes a file. Under a launcher they stay, until `end`.
   */
  arrived(): Promise<boolean>;
  /** Removes the handlers. Throws `Interrupted` if a signal has arrived. */
  end(): void;
  /** Removes the handlers; a signal that has arrived only ended the current action. */
  dismiss(): void;
}

// A closing terminal sends SIGHUP. Node resets an inherited "ignore", so `nohup` alone does not protect.
export const stopSignals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

// `timeout`, process managers that signal a whole group, the launcher and a held key all send one request twice.
const SAME_REQUEST_MS = 300;

/**
 * Installs the handlers.
 *
 * @param onFirst may tell the user what happens next
 * @param hasLauncher the process is one of several that mpirun ends by itself soon after a signal: Open MPI 5 waits a quarter of
 *   a second, which is too short to wait for the same request again
 */
export function onInterrupt(
  onFirst: (signal: NodeJS.Signals) => void = () => {},
  hasLauncher = false,
): Interrupt {
  let first: { signal: NodeJS.Signals; at: number } | undefined;

  const listen = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first === undefined) {
      first = { signal, at: now };
      onFirst(signal);
    } else if (now - first.at > SAME_REQUEST_MS) {
      stopListening();
      raise(signal);
    }
  };
  const stopListening = (): void => {
    for (const signal of stopSignals) process.off(signal, listen);
  };

  for (const signal of stopSignals) process.on(signal, listen);
  return {
    get signal() {
      return first?.signal;
    },
    async arrived() {
      if (first === undefined) return false;
      if (hasLauncher) return true;
      await sleep(Math.max(0, first.at + SAME_REQUEST_MS - performance.now()));
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

/**
 * Runs a part of a session, such as an answer. A signal interrupts it, and then ends the process, except for Ctrl-C on a
 * terminal. The handlers are removed even if the part fails.
 *
 * @param live the session is on a terminal
 */
export async function inSession<T>(
  live: boolean,
  part: (interrupted: () => boolean) => Promise<T>,
): Promise<T> {
  const interrupt = onInterrupt();
  try {
    return await part(() => interrupt.signal !== undefined);
  } finally {
    if (interrupt.signal === 'SIGINT' && live) interrupt.dismiss();
    else interrupt.end();
  }
}

/** Ends the process by `signal`, whose handlers must have been removed. */
export function raise(signal: NodeJS.Signals): void {
  // Windows has no such signals; use the exit code of a Unix shell.
  if (process.platform === 'win32') process.exit(signal === 'SIGINT' ? 130 : 143);
  process.kill(process.pid, signal);
}
