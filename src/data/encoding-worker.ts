/** Worker thread of parallel-encoding.ts: encodes the texts it receives, in order. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { tokenizerFromJson } from '../tokenizer/registry.ts';
import { encodeWhole } from '../tokenizer/tokenizer.ts';
import { DONE, POSTED, READY, WITHIN, type EncodingWorkerData } from './parallel-encoding.ts';

const { tokenizer: json, control, port } = workerData as EncodingWorkerData;
const encoder = tokenizerFromJson(json).encoder(undefined, WITHIN);
Atomics.store(control, READY, 1);
for (let done = 0; ;) {
  Atomics.wait(control, POSTED, done);
  const { message } = receiveMessageOnPort(port) as { message: string };
  const ids = encodeWhole(encoder, message);
  port.postMessage(ids, [ids.buffer as ArrayBuffer]);
  Atomics.store(control, DONE, ++done);
  Atomics.notify(control, DONE);
}
