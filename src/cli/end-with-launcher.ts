import { loadFfi } from '../ffi.ts';
import { isLaunchersChild } from './launcher-watch.ts';

/** Option of prctl(2): the signal that a process gets when its parent ends. */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/** Lets Linux end this rank with its launcher, even while it waits for other ranks in MPI_Init, where no timer runs. */
export function endWithLauncher(environment: NodeJS.ProcessEnv): void {
  if (process.platform !== 'linux' || !isLaunchersChild(environment)) return;
  try {
    const libc = new (loadFfi().DynamicLibrary)('libc.so.6');
    libc.getFunction('prctl', { arguments: ['int32', 'uint64'], return: 'int32' })(PR_SET_PDEATHSIG, SIGKILL);
    // The launcher may have ended before this call, for which Linux sends no signal.
    if (!isLaunchersChild(environment)) process.kill(process.pid, 'SIGKILL');
  } catch {
    // another C library, or no FFI, without which there is no MPI either
  }
}
