/** Worker thread of template-thread.ts: parses a template, then renders what it receives. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BEAT, DONE, POSTED, type TemplateReply, type TemplateWorkerData } from './template-thread.ts';
import {
  RenderingEnded,
  templateProgram,
  whyOf,
  type Failure,
  type Rendering,
  type TemplateProgram,
} from './template-program.ts';

const { source, settings, seconds, control, port } = workerData as TemplateWorkerData;

/** Steps between two readings of the clock, and seconds between two measurements of CPU time, which are system calls. */
const [STEPS_BETWEEN, SECONDS_BETWEEN] = [16, 0.05];

/** CPU time of this thread in seconds, which excludes waiting for a busy processor; wall time before Node 23.9. */
function secondsUsed(): number {
  if (!('threadCpuUsage' in process)) return performance.now() / 1000;
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

let steps = 0;
let end = 0; // deadline of the batch, by `secondsUsed`
let nextMeasurement = 0; // in seconds of `performance.now`

function onStep(): void {
  control[BEAT] = ++steps;
  if (steps % STEPS_BETWEEN !== 0) return;
  const now = performance.now() / 1000;
  if (now < nextMeasurement) return;
  nextMeasurement = now + SECONDS_BETWEEN;
  if (secondsUsed() > end) throw new RenderingEnded();
}

function parsed(): TemplateProgram | Failure {
  try {
    return templateProgram(source, settings, onStep);
  } catch (error) {
    return { problem: whyOf(error) };
  }
}

/** @returns undefined if it takes too long */
function rendered(renderings: readonly Rendering[], render: TemplateProgram['render']): TemplateReply {
  end = secondsUsed() + seconds;
  try {
    return renderings.map(render);
  } catch (error) {
    if (error instanceof RenderingEnded) return undefined;
    throw error;
  }
}

function answer(reply: TemplateReply, job: number): void {
  port.postMessage(reply);
  Atomics.store(control, DONE, job);
  Atomics.notify(control, DONE);
}

const program = parsed();
answer('problem' in program ? program : { marksGeneration: program.marksGeneration }, 1);
if (!('problem' in program))
  for (let done = 1; ;) {
    Atomics.wait(control, POSTED, done);
    const { message } = receiveMessageOnPort(port) as { message: readonly Rendering[] };
    answer(rendered(message, program.render), ++done);
  }
