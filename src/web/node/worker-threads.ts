/** Node's worker threads on top of web workers. Only the engine has threads; text is encoded on a single one. */

type Listener = (value: unknown) => void;

export class Worker {
  readonly #worker: globalThis.Worker;

  constructor(url: URL, { workerData }: { readonly workerData: unknown }) {
    if (!url.pathname.endsWith('/engine/wasm/worker.js'))
      throw new Error('a page has no threads but those of the engine');
    this.#worker = new globalThis.Worker(new URL('engine-thread.js', self.location.href), { type: 'module' });
    this.#worker.postMessage(workerData);
  }

  once(event: 'message', listener: Listener): this {
    this.#worker.addEventListener(event, ({ data }) => listener(data), { once: true });
    return this;
  }

  on(event: 'error', listener: Listener): this {
    this.#worker.addEventListener(event, ({ message }) => listener(new Error(message)));
    return this;
  }

  postMessage(message: unknown): void {
    this.#worker.postMessage(message);
  }

  terminate(): Promise<number> {
    this.#worker.terminate();
    return Promise.resolve(0);
  }

  unref(): void {}
}

/** In a thread of the engine: the data that it was started with, set before the program is loaded. */
export let workerData: unknown;
export const setWorkerData = (data: unknown): void => void (workerData = data);

export const parentPort = {
  once(event: 'message', listener: Listener): void {
    self.addEventListener(event, ({ data }) => listener(data), { once: true });
  },
  postMessage(message: unknown): void {
    self.postMessage(message);
  },
};

export const MessageChannel = globalThis.MessageChannel;

export function receiveMessageOnPort(): undefined {
  return undefined;
}
