/** A thread of the engine: a web worker that is told first what it works on, and then runs what a thread of Node runs. */
import { setWorkerData } from './node/worker-threads.ts';

self.addEventListener(
  'message',
  ({ data }) => {
    setWorkerData(data);
    void import('../engine/wasm/worker.ts');
  },
  { once: true },
);
