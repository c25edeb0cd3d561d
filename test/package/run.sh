#!/usr/bin/env bash
# The package as a user gets it: packed, installed in a project of its own, type-checked, imported, and run by npx.
# Needs a built dist/ and a registry for the package's own dependencies.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

cd "$root"
tarball=$(npm pack --ignore-scripts --silent --pack-destination "$project")
cd "$project"
cat >package.json <<'JSON'
{ "name": "consumer", "private": true, "type": "module" }
JSON
# Node itself, an optional dependency, is at hand already.
npm install --silent --no-audit --no-fund --omit=optional "./$tarball"

# Nothing is missing and nothing is there by mistake.
for file in bin/gpt.js dist/index.js dist/index.d.ts dist/engine/wasm/worker.js dist/kernels/simd.wasm README.md LICENSE; do
  [[ -f node_modules/gpt-trainer/$file ]] || { echo "the package lacks $file"; exit 1; }
done
for file in test data checkpoints bench node_modules/gpt-trainer; do
  [[ ! -e node_modules/gpt-trainer/$file ]] || { echo "the package has $file"; exit 1; }
done

cat >consumer.ts <<'TS'
import { evaluate, load, sample, train, UserError, type SampleOptions, type TrainOptions } from 'gpt-trainer';

const options: TrainOptions = { corpus: ['book.txt'], nLayer: 1, nEmbd: 32, maxIters: 10, evalIters: 1 };
const { folder, progress } = await train(options, {
  event: (event) => void (event.type === 'step' && event.loss satisfies number),
});
const model = await load(folder, { threads: 1 });
const settings: SampleOptions = { maxTokens: 8, seed: 1 };
let text = '';
for await (const piece of sample(model, 'one ', settings)) text += piece;
const { bitsPerByte } = await evaluate(model, 'one two three');
await model.close();
const error = await load('nowhere').catch((reason: unknown) => reason);
if (progress.step !== 10 || text.length !== 8 || !(bitsPerByte > 0) || !(error instanceof UserError))
  throw new Error(`the library does not work: ${JSON.stringify({ progress, text, bitsPerByte })}`);
// @ts-expect-error The options are typed.
const wrong: TrainOptions = { corpus: ['book.txt'], maxIters: 'ten' };
void wrong;
TS
cat >tsconfig.json <<'JSON'
{
  "compilerOptions": {
    "target": "es2023", "lib": ["esnext"], "module": "nodenext", "strict": true, "types": ["node"],
    "typeRoots": ["TYPES"], "outDir": "out"
  },
  "files": ["consumer.ts"]
}
JSON
sed -i "s|TYPES|$root/node_modules/@types|" tsconfig.json
for i in $(seq 200); do echo "one two three four $i"; done >book.txt
"$root/node_modules/.bin/tsc" -p tsconfig.json
node out/consumer.js
npx --no-install gpt --version
npx --no-install gpt-trainer --version # macOS has a `gpt` of its own
echo "The package of $(wc -c <"$tarball") bytes installs, type-checks and runs."
