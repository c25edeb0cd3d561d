/** Ends the program with its launcher: bin/gpt.js forwards signals, but nothing can forward SIGKILL. */
import { detectLaunch } from '../collective/launch.ts';

/** In milliseconds. */
const BETWEEN_LOOKS = 250;

/**
 * Once the launcher is gone, raises SIGTERM in this process, which saves and ends. One of several ranks ends at once: the
 * others end as well, without which it can save nothing.
 *
 * @param environment in which `GPT_LAUNCHER_PID` is the launcher's process, if there is one
 */
export function watchLauncher(environment: Readonly<Record<string, string | undefined>>): void {
  const launcher = Number(environment['GPT_LAUNCHER_PID']);
  // Otherwise the parent is a shell, which may end before its `gpt train &`.
  if (process.ppid !== launcher) return;
  const timer = setInterval(() => {
    if (process.ppid === launcher) return;
    clearInterval(timer);
    process.kill(process.pid, detectLaunch(environment) === undefined ? 'SIGTERM' : 'SIGKILL');
  }, BETWEEN_LOOKS);
  timer.unref();
}
