/**
 * The workers that train. Each run has its own, with its files: the one before stays until the next run has begun, and a run that
 * has not begun is ended with its worker, at once, whatever it computes.
 */
import type { Answer, Request } from './messages.ts';

export class Trainers {
  readonly #hear: (answer: Answer) => void;
  readonly #notStarted: () => void;
  /** Whose run has begun. */
  #current: Worker | undefined;
  /** Whose run has not. */
  #next: Worker | undefined;
  /** Started with the page, so that it says at once if it cannot train. */
  #spare: Worker | undefined;

  /** @param hear receives the answers of the current run and the next one @param notStarted a worker cannot be started */
  constructor(hear: (answer: Answer) => void, notStarted: () => void) {
    this.#hear = hear;
    this.#notStarted = notStarted;
    this.#spare = this.#start();
  }

  train(request: Request & { type: 'train' }): void {
    this.#next?.terminate();
    this.#next = this.#spare ?? this.#start();
    this.#spare = undefined;
    this.#current?.postMessage({ type: 'stop writing' } satisfies Request); // the speed is measured now
    this.#next.postMessage(request);
  }

  /** Asks for something about the run that has begun. */
  ask(request: Exclude<Request, { type: 'train' }>): void {
    this.#current?.postMessage(request);
  }

  /** Ends the run that has not begun. */
  discardNext(): void {
    this.#next?.terminate();
    this.#next = undefined;
  }

  #start(): Worker {
    const worker = new Worker('trainer.js', { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      if (worker !== this.#next && worker !== this.#current) return;
      if (worker === this.#next && data.type === 'start') {
        this.#current?.terminate();
        [this.#current, this.#next] = [worker, undefined];
      }
      if (worker === this.#next && data.type === 'failed') this.discardNext();
      this.#hear(data);
    });
    worker.addEventListener('error', this.#notStarted);
    return worker;
  }
}
