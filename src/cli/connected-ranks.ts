/** The ranks that this process is connected to: if one fails, it ends the others, which would wait for it. */
import { detectLaunch, type Launch } from '../collective/launch.ts';
import type { MpiCommunicator } from '../collective/mpi/connect.ts';
import { raise } from './interrupt.ts';

let hasTried = false;
let connected: MpiCommunicator | undefined;

/** Joins the other ranks of a launch. Nothing of MPI is loaded before. */
export async function connect(launch: Launch): Promise<MpiCommunicator> {
  hasTried = true;
  (await import('./end-with-launcher.ts')).endWithLauncher(process.env);
  const { connectMpi } = await import('../collective/mpi/connect.ts');
  connected = await connectMpi(launch, process.env);
  return connected;
}

/** Leaves them, which all ranks do together. */
export async function disconnect(): Promise<void> {
  await connected?.close();
  connected = undefined;
}

/**
 * Joins the other ranks to end them all. They may be waiting in MPI_Init, where not every launcher ends them when this process
 * exits.
 */
export async function connectToFail(): Promise<void> {
  const launch = detectLaunch(process.env);
  if (launch === undefined || hasTried) return;
  await connect(launch).catch(() => {}); // the error that is being reported came first
}

/** Ends this process, and those of all ranks that it is still connected to. */
export function exit(code: number): void {
  try {
    connected?.abort(code);
  } finally {
    exitAlone(code);
  }
}

function exitAlone(code: number): void {
  // Hydra ends the others of a process that fails before MPI_Init only if a signal has ended it.
  const isUnconnected = hasTried && connected === undefined && code !== 0;
  if (isUnconnected && detectLaunch(process.env)?.launcher === 'hydra') raise('SIGTERM');
  else process.exit(code);
}
