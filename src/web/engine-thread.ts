/** A thread of the engine: a web worker that first receives its `workerData`, then runs the same module as in Node. */
import { setWorkerData } from './node/worker-threads.ts';

self.addEventListener(
  'message',
  ({ data }) => {
    setWorkerData(data);
    void import('../engine/wasm/worker.ts');
  },
  { once: true },
);
