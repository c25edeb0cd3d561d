/**
 * The workers that train. Each run has its own worker, which holds its files; the previous worker is kept until the next
 * run has completed its first step. Until then, stopping the next run means terminating its worker, since its computation
 * cannot be interrupted.
 */
import type { Answer, Request } from './messages.ts';

/** Purpose of a worker: a future run, the run being prepared, or the run on display. */
export type Purpose = 'spare' | 'next' | 'current';

export class Trainers {
  readonly #hear: (answer: Answer) => void;
  readonly #failed: (purpose: Purpose, message: string | undefined) => void;
  /** Worker of the run on display. */
  #current: Worker | undefined;
  /** Worker of the run being prepared. */
  #next: Worker | undefined;
  /** Started with the page, so that a browser that cannot train is detected at once. */
  #spare: Worker | undefined;

  /**
   * @param hear receives the answers of the current run and the next one
   * @param failed called for an error that a worker does not report itself; without a message if its program could not be loaded
   */
  constructor(
    hear: (answer: Answer) => void,
    failed: (purpose: Purpose, message: string | undefined) => void,
  ) {
    this.#hear = hear;
    this.#failed = failed;
    this.#spare = this.#start();
  }

  train(request: Request & { type: 'train' }): void {
    this.#next?.terminate();
    this.#next = this.#spare ?? this.#start();
    this.#spare = undefined;
    this.#current?.postMessage({ type: 'stop writing' } satisfies Request); // it would distort the speed measurement
    this.#next.postMessage(request);
  }

  /** Asks for something about the run on display. */
  ask(request: Exclude<Request, { type: 'train' }>): void {
    this.#current?.postMessage(request);
  }

  /** Ends the run being prepared. */
  discardNext(): void {
    this.#next?.terminate();
    this.#next = undefined;
  }

  #start(): Worker {
    const worker = new Worker('trainer.js', { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      if (worker !== this.#next && worker !== this.#current) return;
      if (worker === this.#next && data.type === 'step') {
        this.#current?.terminate();
        [this.#current, this.#next] = [worker, undefined];
      }
      if (worker === this.#next && data.type === 'failed') this.discardNext();
      this.#hear(data);
    });
    worker.addEventListener('error', ({ message }: Partial<ErrorEvent>) => {
      if (worker === this.#spare) {
        this.#spare = undefined; // the next run tries again
        this.#failed('spare', message);
      } else if (worker === this.#next) {
        this.discardNext();
        this.#failed('next', message);
      } else if (worker === this.#current) this.#failed('current', message);
    });
    return worker;
  }
}
