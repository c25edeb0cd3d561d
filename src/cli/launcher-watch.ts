/** Ends the program with its launcher: bin/gpt.js forwards signals, but nothing can forward SIGKILL. */
import { detectLaunch } from '../collective/launch.ts';
import { loadFfi } from '../ffi.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** In milliseconds. */
const BETWEEN_LOOKS = 250;

/** Whether bin/gpt.js started this process, and still runs. Otherwise the parent is a shell, which may end before its `gpt train &`. */
const isLaunchersChild = ({ GPT_LAUNCHER_PID: launcher }: Environment): boolean =>
  process.ppid === Number(launcher);

/**
 * Once the launcher is gone, raises SIGTERM in this process, which saves and ends. One of several ranks ends at once: the
 * others end as well, without which it can save nothing.
 *
 * @param environment in which `GPT_LAUNCHER_PID` is the launcher's process, if there is one
 */
export function watchLauncher(environment: Environment): void {
  if (!isLaunchersChild(environment)) return;
  const timer = setInterval(() => {
    if (isLaunchersChild(environment)) return;
    clearInterval(timer);
    process.kill(process.pid, detectLaunch(environment) === undefined ? 'SIGTERM' : 'SIGKILL');
  }, BETWEEN_LOOKS);
  timer.unref();
}

/** Of Linux's prctl: the signal that a process gets when its parent has ended. */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/** Lets Linux end this rank with its launcher, even while it waits for other ranks in MPI_Init, where no timer runs. */
export function endWithLauncher(environment: Environment): void {
  if (process.platform !== 'linux' || !isLaunchersChild(environment)) return;
  try {
    const libc = new (loadFfi().DynamicLibrary)('libc.so.6');
    libc.getFunction('prctl', { arguments: ['int32', 'uint64'], return: 'int32' })(PR_SET_PDEATHSIG, SIGKILL);
  } catch {
    // another C library, or no FFI, without which there is no MPI either
  }
}
