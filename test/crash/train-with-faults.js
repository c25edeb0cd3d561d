// A training into which faults are put, always at the same steps: `start FOLDER` or `resume FOLDER`.
// One bad loss is skipped; broken parameters, twice, make it return to a checkpoint.
import { trainModel } from '../../dist/train/train-model.js';

const [what, folder] = process.argv.slice(2);
const run = {
  nLayer: 1,
  nHead: 1,
  nEmbd: 8,
  blockSize: 8,
  batchSize: 2,
  maxIters: 36,
  evalInterval: 4,
  evalIters: 1,
  saveEvery: 1,
};
const options =
  what === 'resume'
    ? { corpus: [], resume: folder }
    : { corpus: ['corpus.txt'], outDir: folder, overwrite: true, ...run };

await trainModel(
  { ...options, threads: 1 },
  {
    inspect: ({ step, health: { rollbacks } }, found, trainer) => {
      if (step === 5) return { ...found, loss: NaN };
      if (step === 10 && rollbacks === 0) trainer.parameters()[0].write(Float32Array.of(NaN));
      if (step === 24 && rollbacks === 1) trainer.parameters()[2].write(Float32Array.of(Infinity, Infinity));
      return found;
    },
  },
);
