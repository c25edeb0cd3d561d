/** Runs that are disturbed while they train. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The step of the last checkpoint; 0 if there is none. */
export function lastStepOf(run: string): number {
  if (!existsSync(run)) return 0;
  const steps = readdirSync(run).map((name) => Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...steps);
}

/** The processes of the ranks that write to a folder, by rank: the launcher's children, or those that they started. */
export function ranksOf(folder: string): number[] {
  const found: { readonly pid: number; readonly isProgram: boolean }[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isProgram = words.some((word) => word.endsWith('dist/cli/main.js'));
      if (!words.includes(folder) || !(isProgram || words[1]?.endsWith('bin/gpt.js'))) continue;
      const environment = `\0${readFileSync(`/proc/${pid}/environ`, 'utf8')}`;
      const rank = Number(/\0(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)\0/.exec(environment)![1]);
      if (isProgram || found[rank] === undefined) found[rank] = { pid: Number(pid), isProgram };
    } catch {
      // it has ended
    }
  return found.map(({ pid }) => pid);
}

/** The process that started another one. */
export const parentOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

/**
 * Waits until a run on several ranks has done some steps, or has ended.
 *
 * @param act gets the processes of the ranks
 * @returns them
 */
export async function whenTraining(
  folder: string,
  act: (pids: number[]) => void | Promise<void>,
): Promise<number[]> {
  const log = join(folder, 'metrics.jsonl');
  const size = (): number => (existsSync(log) ? statSync(log).size : 0);
  const before = size();
  const until = performance.now() + 30_000;
  while (performance.now() < until) {
    const pids = ranksOf(folder);
    if (pids.length > 1 && size() !== before) {
      await act(pids);
      return pids;
    }
    await sleep(20);
  }
  return [];
}
