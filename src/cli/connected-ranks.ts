/** The ranks that this process is connected to. A rank that fails ends the others, which would otherwise wait for it. */
import { detectLaunch, type Launch } from '../collective/launch.ts';
import type { MpiCommunicator } from '../collective/mpi/connect.ts';
import { raise } from './interrupt.ts';

/** Whether this process is alone, failed to join the other ranks, is connected to them, or has left them. */
let state: 'alone' | 'failed' | 'left' | MpiCommunicator = 'alone';

/** Joins the other ranks of a launch. MPI is loaded here and not before. */
export async function connect(launch: Launch): Promise<MpiCommunicator> {
  state = 'failed'; // until connected
  (await import('./end-with-launcher.ts')).endWithLauncher(process.env);
  const { connectMpi } = await import('../collective/mpi/connect.ts');
  return (state = await connectMpi(launch, process.env));
}

/** Leaves the other ranks; a collective call. */
export async function disconnect(): Promise<void> {
  if (typeof state !== 'object') return;
  await state.close();
  state = 'left';
}

/**
 * Joins the other ranks to end them all. They may be waiting in MPI_Init, where not every launcher ends them when this process
 * exits.
 */
export async function connectToFail(): Promise<void> {
  const launch = detectLaunch(process.env);
  if (launch === undefined || state !== 'alone') return;
  await connect(launch).catch(() => {}); // the error that is being reported came first
}

/** Ends this process, and those of all ranks that it is still connected to. */
export function exit(code: number): void {
  try {
    if (typeof state === 'object') state.abort(code);
  } finally {
    exitAlone(code);
  }
}

function exitAlone(code: number): void {
  // If a process fails before MPI_Init, Hydra ends the others only if it was killed by a signal.
  if (state === 'failed' && code !== 0 && detectLaunch(process.env)?.launcher === 'hydra') raise('SIGTERM');
  else process.exit(code);
}
