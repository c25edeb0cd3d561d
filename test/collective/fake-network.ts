/** A network within the process, in place of MPI. */
import type { Completion, Messages } from '../../src/collective/mpi/messages.ts';

/** What is sent to a rank with a tag is received in order, one message per test. */
export class FakeNetwork {
  readonly #messages: { to: number; tag: number; data: Uint8Array; from: number }[] = [];
  /** In bytes, of everything sent. */
  readonly sent: number[] = [];
  /** Thrown by every test, if set. */
  error: Error | undefined;

  endpoint(rank: number): Messages {
    const receives: { from: number; tag: number; into: Uint8Array; request: number }[] = [];
    const ended: Completion[] = [];
    let requests = 0;
    return {
      isend: (data, to, tag) => {
        this.sent.push(data.byteLength);
        this.#messages.push({ to, tag, data: data.slice(), from: rank });
        ended.push({ request: requests, bytes: 0 });
        return requests++;
      },
      ireceive: (into, from, tag) => {
        receives.push({ from, tag, into, request: requests });
        return requests++;
      },
      test: () => {
        if (this.error !== undefined) throw this.error;
        for (const receive of receives) {
          const at = this.#messages.findIndex(
            ({ to, tag, from }) => to === rank && tag === receive.tag && from === receive.from,
          );
          if (at < 0) continue;
          const [message] = this.#messages.splice(at, 1);
          receives.splice(receives.indexOf(receive), 1);
          receive.into.set(message.data.subarray(0, receive.into.length));
          ended.push({ request: receive.request, bytes: message.data.length });
          break;
        }
        return ended.splice(0);
      },
    };
  }
}
