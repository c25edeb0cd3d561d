/** Computes the numbers of docs/understanding/averaging.md that need no model. */
import { plan } from '../../dist/autodiff/plan.js';
import { createTape } from '../../dist/autodiff/tape.js';
import { Layout } from '../../dist/engine/memory.js';
import { createReferenceBackend } from '../../dist/engine/reference/backend.js';
import { HYPER, HYPER_SLOTS } from '../../dist/engine/signatures.js';
import { recordAverage } from '../../dist/train/record-update.js';
import { averageRate } from '../../dist/train/weight-average.js';
import { agree, fixed, out, title } from './common.js';

/** The average of one number after each update, computed by the engine. */
async function engineAverages(xs, decay) {
  const device = createReferenceBackend('float64');
  const layout = new Layout();
  const tape = createTape();
  const [x, average] = ['x', 'average'].map((name) => tape.external(name, [1], layout.allocate(1)));
  const hyper = tape.external('hyper', [HYPER_SLOTS], layout.allocate(HYPER_SLOTS));
  recordAverage(tape, { x, average, hyper }, { start: 0, end: 1 });
  const program = plan(tape.nodes, layout.end);
  device.reserve(program.end);
  const loaded = device.load(program.instructions);
  const averages = [];
  for (const [i, each] of xs.entries()) {
    const slots = new Float64Array(HYPER_SLOTS);
    slots[HYPER.averageRate] = averageRate(decay, i + 1);
    device.write(hyper.region.offset, slots);
    device.write(x.region.offset, Float64Array.of(each));
    loaded.submit();
    averages.push((await device.read(average.region.offset, new Float64Array(1)))[0]);
  }
  return averages;
}

title('Averaging');
{
  const [decay, rate] = [0.9, 0.5];
  const decayAt = (t) => Math.min(decay, (t - 1) / (t + 8));
  // The loss x²/2 with the gradient x ± 1: its noise changes sign from step to step.
  let [x, average] = [2, 0];
  const [xs, averages] = [[], []];
  for (let t = 1; t <= 128; t++) {
    x -= rate * (x + (t % 2 === 1 ? 1 : -1));
    average = decayAt(t) * average + (1 - decayAt(t)) * x;
    xs.push(x);
    averages.push(average);
  }
  agree('moving average', averages, await engineAverages(xs, decay));
  for (const t of [1, 2, 3, 4, 8, 16, 32, 128])
    out(
      `update ${t}: decay ${fixed(decayAt(t))}, weight ${fixed(xs[t - 1])}, average ${fixed(averages[t - 1])}`,
    );
  const capped = Array.from({ length: 1000 }, (_, i) => i + 1).find((t) => decayAt(t) === decay);
  out(`the decay is ${decay} from update ${capped}; 0.99 from ${(8 * 0.99 + 1) / 0.01}`);
  for (const d of [0.98, 0.99, 0.995]) {
    const half = Math.log(0.5) / Math.log(d);
    out(
      `decay ${d}: 1/(1 − decay) = ${fixed(1 / (1 - d), 0)}; half of the weight is on the last ${fixed(half, 0)}`,
    );
  }
}
