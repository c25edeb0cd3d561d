/** Installs both MPI implementations from PyPI, each in a virtual environment of its own, once per checkout. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationOf, packages } from './mpirun.ts';

export function setup(): void {
  for (const [implementation, requirement] of Object.entries(packages)) {
    const folder = installationOf(implementation);
    const stamp = join(folder, 'requirement.txt');
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === requirement) continue;
    rmSync(folder, { recursive: true, force: true });
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' });
    const pip = join(folder, 'bin', 'pip');
    execFileSync(pip, ['install', '-qq', '--disable-pip-version-check', requirement], { stdio: 'inherit' });
    writeFileSync(stamp, requirement);
  }
}
