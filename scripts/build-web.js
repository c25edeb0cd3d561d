// Builds the page that trains in a browser: dist/web, which any static server can serve. Run `npm run build` first.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'src', 'web');
const out = join(root, 'dist', 'web');

/** Node's modules, and their replacements in a page. */
const substitutes = {
  fs: 'fs',
  os: 'os',
  crypto: 'crypto',
  util: 'util',
  zlib: 'zlib',
  v8: 'v8',
  url: 'url',
  module: 'module',
  buffer: 'buffer',
  worker_threads: 'worker-threads',
  child_process: 'child-process',
  'timers/promises': 'timers',
  stream: 'stream',
};
const alias = Object.fromEntries(
  Object.entries(substitutes).map(([name, file]) => [`node:${name}`, join(source, 'node', `${file}.ts`)]),
);

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });
const common = {
  outdir: out,
  bundle: true,
  format: 'esm',
  target: 'es2023',
  minify: true,
  logLevel: 'warning',
};
await build({ ...common, entryPoints: [join(source, 'isolation.ts')] });
await build({
  ...common,
  entryPoints: ['page', 'trainer', 'engine-thread'].map((name) => join(source, `${name}.ts`)),
  splitting: true,
  legalComments: 'linked',
  alias: { ...alias, 'node:path': 'path-browserify', 'node:events': 'events' },
  inject: [join(source, 'node', 'globals.ts')],
});

const assets = [
  ...['relaxed', 'simd'].map((name) => join('dist', 'kernels', `${name}.wasm`)),
  ...readdirSync(join(root, 'dist', 'report', 'browser'))
    .filter((name) => name.endsWith('.js'))
    .map((name) => join('dist', 'report', 'browser', name)),
  join('src', 'report', 'browser', 'page.css'),
  join('node_modules', 'uplot', 'dist', 'uPlot.iife.min.js'),
  join('node_modules', 'uplot', 'dist', 'uPlot.min.css'),
];
for (const path of assets) copy(path, 'assets');
copy(join('data', 'moby-dick.txt'), 'assets'); // the example
copy(join('src', 'web', 'style.css'), '');

// The page's content security policy also applies to a report shown in it, so it allows the reports' scripts by hash.
const hashes = assets
  .filter((path) => path.endsWith('.js'))
  .map(
    (path) =>
      `'sha256-${createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('base64')}'`,
  );
const policy = [
  "default-src 'self'",
  `script-src 'self' 'wasm-unsafe-eval' ${hashes.join(' ')}`,
  "style-src 'self' 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');
const page = readFileSync(join(source, 'index.html'), 'utf8');
writeFileSync(join(out, 'index.html'), page.replace('POLICY', policy));

function copy(path, folder) {
  cpSync(join(root, path), join(out, folder, basename(path)));
}
