/** Ends the program with its launcher: bin/gpt.js forwards signals, but nothing can forward SIGKILL. */
import { detectLaunch } from '../collective/launch.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const POLL_INTERVAL_MS = 250;

/**
 * Whether bin/gpt.js started this process and is still running. Otherwise the parent is a shell, which may end before its
 * `gpt train &`.
 */
export const isLaunchersChild = ({ GPT_LAUNCHER_PID: launcher }: Environment): boolean =>
  process.ppid === Number(launcher);

/**
 * Once the launcher is gone, raises SIGTERM in this process, which saves and ends. An MPI rank is killed instead: saving takes
 * all ranks, and the others end as well.
 *
 * @param environment with `GPT_LAUNCHER_PID`, the process id of the launcher, if there is one
 */
export function watchLauncher(environment: Environment): void {
  if (!isLaunchersChild(environment)) return;
  const timer = setInterval(() => {
    if (isLaunchersChild(environment)) return;
    clearInterval(timer);
    process.kill(process.pid, detectLaunch(environment) === undefined ? 'SIGTERM' : 'SIGKILL');
  }, POLL_INTERVAL_MS);
  timer.unref();
}
