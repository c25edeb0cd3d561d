/**
 * The workers that train. Each run has a worker of its own, which holds its files: the worker before is kept until the next run
 * has completed its first step. Until then, the next run is stopped by ending its worker, since a computation cannot be interrupted.
 */
import type { Answer, Request } from './messages.ts';

/** What a worker is for: a run to come, the run being prepared, or the run on display. */
export type Purpose = 'spare' | 'next' | 'current';

export class Trainers {
  readonly #hear: (answer: Answer) => void;
  readonly #failed: (purpose: Purpose, message: string | undefined) => void;
  /** Worker of the run on display. */
  #current: Worker | undefined;
  /** Worker of the run being prepared. */
  #next: Worker | undefined;
  /** Started with the page, which thus finds out at once that it cannot train. */
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
    this.#current?.postMessage({ type: 'stop writing' } satisfies Request); // the speed is measured now
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
