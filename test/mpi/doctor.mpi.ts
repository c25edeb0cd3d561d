import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { run } from '../cli/run.ts';
import { gpt, implementations, mpirun } from './mpirun.ts';
import { oldNode } from './old-node.ts';

describe.each(implementations)('gpt doctor --mpi under the mpirun of %s', (implementation) => {
  it('prints ranks, library and times once, though bin/gpt.js runs it on another Node', async () => {
    const { stdout, stderr, code } = await mpirun(
      implementation,
      [gpt, 'doctor', '--mpi', '--seconds', '0.1'],
      {
        ranks: 3,
        env: { NODE_OPTIONS: oldNode() },
      },
    );
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(stdout.match(/library +(Open MPI v5\.0\.11|MPICH 5\.0\.2)/g), stdout).toHaveLength(1);
    expect(stdout).toMatch(new RegExp(`hosts +${hostname()}: 3 ranks`));
    expect(stdout).toMatch(/^ +1 B +[\d.]+ (µs|ms) .*B\/s/m);
    expect(stdout).toMatch(/n bytes take about .* \+ n \/ [\d.]+ .B\/s/);
  });

  it('prints JSON with the fit', async () => {
    const { stdout, code } = await mpirun(
      implementation,
      [gpt, 'doctor', '--mpi', '--json', '--seconds', '0.1'],
      { ranks: 2 },
    );
    expect(code).toBe(0);
    // Open MPI merges the streams of a rank with a terminal.
    const found = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
      hosts: unknown;
      links: {
        rank: number;
        is_local: boolean;
        times: unknown[];
        fit: { latency: number; bandwidth: number };
      }[];
    };
    expect(found.hosts).toEqual([{ name: hostname(), ranks: 2 }]);
    expect(found.links).toHaveLength(1);
    const [{ fit, ...link }] = found.links;
    expect(link).toMatchObject({ rank: 1, is_local: true });
    expect(fit.bandwidth).toBeGreaterThan(1e6);
    expect(fit.latency).toBeLessThan(1);
  });
});

it('started alone, it says how to start it', async () => {
  const { stderr, code } = await run(['doctor', '--mpi']);
  expect(stderr).toMatch(/^error: --mpi .*alone\nhint: mpirun -n 2 gpt doctor --mpi/);
  expect(code).toBe(2);
});
