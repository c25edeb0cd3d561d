/**
 * Computes the worked examples of docs/understanding/ that need only a handful of numbers and no trained model:
 *
 *     node scripts/small-examples.js
 *
 * Every op is reimplemented in plain loops and compared with the engine's (float64, reference kernels) before its numbers
 * are printed; derivatives are compared with central differences. There is one file per page.
 */
await import('./small-examples/rms-norm-and-swiglu.js');
await import('./small-examples/rotary.js');
await import('./small-examples/grouped-queries.js');
await import('./small-examples/muon.js');
await import('./small-examples/averaging.js');
