/** Worker thread of chat-template.ts: parses a template, then renders what it receives. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { DONE, POSTED, type TemplateWorkerData } from './chat-template.ts';
import {
  templateProgram,
  whyOf,
  type Failure,
  type Rendering,
  type TemplateProgram,
} from './template-program.ts';

const { source, settings, control, port } = workerData as TemplateWorkerData;

function parsed(): TemplateProgram | Failure {
  try {
    return templateProgram(source, settings);
  } catch (error) {
    return { problem: whyOf(error) };
  }
}

function answer(reply: unknown, job: number): void {
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
    answer(message.map(program.render), ++done);
  }
