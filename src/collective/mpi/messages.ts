/** Nonblocking point-to-point messages over MPI. */
import { UserError } from '../../errors.ts';
import type { Abi, Handle } from './abi.ts';
import { addressOfView, functionOf, type MpiFunction, type OpenLibrary } from './library.ts';

/** A transfer that has ended. */
export interface Completion {
  /** As `isend` or `ireceive` returned it; free for the next transfer now. */
  readonly request: number;
  /** Received bytes; 0 for what was sent. */
  readonly bytes: number;
}

/** Transfers of up to 2³¹ − 1 bytes. Buffers must stay as they are until a transfer has ended. */
export interface Messages {
  isend(data: Uint8Array, to: number, tag: number): number;
  ireceive(into: Uint8Array, from: number, tag: number): number;
  /** Advances all transfers and returns some that have ended; later calls return others. @throws UserError on failure */
  test(): readonly Completion[];
}

/** MPI between its initialization and its end. */
export interface MpiSession extends Messages {
  readonly rank: number;
  readonly size: number;
  /** Name of this host. */
  readonly host: string;
  /**
   * Ends MPI, which waits for all ranks.
   *
   * @param seconds after which SIGALRM ends this process, and its launcher the others; 0: never
   */
  finalize(seconds: number): void;
  abort(exitCode: number): void;
}

type Call = (...values: readonly (number | bigint)[]) => void;

/** In bytes; the largest of MPI_MAX_ERROR_STRING and MPI_MAX_PROCESSOR_NAME. */
const LONGEST_TEXT = 1024;

/** Initializes MPI, which a process may do only once. */
export function startMpi({ library, abi, version }: OpenLibrary): MpiSession {
  const at = (handle: Handle): number | bigint => {
    const value = typeof handle === 'number' ? handle : library.getSymbol(handle.symbol);
    return abi.handle === 'pointer' ? BigInt(value) : Number(value);
  };
  const find = (name: string, ...types: ('int32' | 'pointer')[]): MpiFunction => {
    const found = functionOf(library, name, types);
    if (found === undefined) throw new UserError('mpi-unavailable', `${version} has no function ${name}`);
    return found;
  };
  const errorText = find('MPI_Error_string', 'int32', 'pointer', 'pointer');
  const checked = (name: string, ...types: ('int32' | 'pointer')[]): Call => {
    const call = find(name, ...types);
    return (...values) => {
      const code = call(...values);
      if (code === 0) return;
      const reason = readText((text, length) => errorText(code, text, length));
      throw new UserError('rank-lost', `${version} reports an error in ${name}: ${reason}`, {
        hint: 'see what the launcher and the other ranks print; what has been saved can be resumed',
      });
    };
  };

  const provided = new Int32Array(1);
  checked(
    'MPI_Init_thread',
    'pointer',
    'pointer',
    'int32',
    'pointer',
  )(0n, 0n, abi.threadFunneled, addressOfView(provided));
  const world = at(abi.world);
  // By default, MPI would abort the process at the first error.
  checked('MPI_Comm_set_errhandler', abi.handle, abi.handle)(world, at(abi.errorsReturn));
  const number = (name: string): number => {
    const value = new Int32Array(1);
    checked(name, abi.handle, 'pointer')(world, addressOfView(value));
    return value[0];
  };
  const processorName = checked('MPI_Get_processor_name', 'pointer', 'pointer');
  const finalize = checked('MPI_Finalize');
  // alarm(2), because Node's timers do not run while MPI_Finalize waits for a rank that hangs.
  const alarm = functionOf(library, 'alarm', ['int32']);
  const abort = checked('MPI_Abort', abi.handle, 'int32');
  return {
    rank: number('MPI_Comm_rank'),
    size: number('MPI_Comm_size'),
    host: readText(processorName),
    ...transfers(abi, checked, { world, byte: at(abi.byte) }),
    finalize(seconds) {
      alarm?.(seconds);
      finalize();
      alarm?.(0);
    },
    abort: (exitCode) => abort(world, exitCode),
  };
}

/** Calls a function that writes a text and its length. */
function readText(call: (text: bigint, length: bigint) => void): string {
  const text = new Uint8Array(LONGEST_TEXT);
  const length = new Int32Array(1);
  call(addressOfView(text), addressOfView(length));
  return new TextDecoder().decode(text.subarray(0, length[0])).replace(/\0.*/s, '');
}

type Handles = Readonly<Record<'world' | 'byte', number | bigint>>;

/** Arrays that MPI reads and writes, each with its address. */
interface Table {
  /** Open requests; MPI sets those that have ended to MPI_REQUEST_NULL, and ignores them. */
  readonly requests: Uint8Array;
  readonly requestsAt: bigint;
  readonly indices: Int32Array;
  readonly indicesAt: bigint;
  readonly statuses: Uint8Array;
  readonly statusesAt: bigint;
}

function makeTable({ handleSize, statusSize }: Abi, capacity: number): Table {
  const requests = new Uint8Array(capacity * handleSize);
  const indices = new Int32Array(capacity);
  const statuses = new Uint8Array(capacity * statusSize);
  return {
    requests,
    requestsAt: addressOfView(requests),
    indices,
    indicesAt: addressOfView(indices),
    statuses,
    statusesAt: addressOfView(statuses),
  };
}

/**
 * Number of requests tested at a time, in turn: the cost of a test grows with their number, although any test advances all
 * transfers. Libraries often complete one message per test.
 */
const WINDOW = 128;

function transfers(
  abi: Abi,
  checked: (name: string, ...types: ('int32' | 'pointer')[]) => Call,
  { world, byte }: Handles,
): Messages {
  const message = ['pointer', 'int32', abi.handle, 'int32', 'int32', abi.handle, 'pointer'] as const;
  const isend = checked('MPI_Isend', ...message);
  const irecv = checked('MPI_Irecv', ...message);
  const testSome = checked('MPI_Testsome', 'int32', 'pointer', 'pointer', 'pointer', 'pointer');
  const getCount = checked('MPI_Get_count', 'pointer', abi.handle, 'pointer');
  const count = new Int32Array(1);
  const countAt = addressOfView(count);
  let table = makeTable(abi, 64);
  let used = 0;
  let windowStart = 0;
  const free: number[] = [];
  const isReceive: boolean[] = [];

  const start = (call: Call, data: Uint8Array, peer: number, tag: number, receives: boolean): number => {
    const request = free.pop() ?? used++;
    if (used > table.indices.length) {
      const { requests } = table;
      table = makeTable(abi, 2 * table.indices.length);
      table.requests.set(requests); // handles are plain values and may be copied
    }
    isReceive[request] = receives;
    const at = table.requestsAt + BigInt(request * abi.handleSize);
    call(addressOfView(data), data.byteLength, byte, peer, tag, world, at);
    return request;
  };
  return {
    isend: (data, to, tag) => start(isend, data, to, tag, false),
    ireceive: (into, from, tag) => start(irecv, into, from, tag, true),
    test() {
      if (used === free.length) return [];
      const first = windowStart < used ? windowStart : 0;
      const size = Math.min(WINDOW, used - first);
      windowStart = first + size;
      const at = table.requestsAt + BigInt(first * abi.handleSize);
      testSome(size, at, countAt, table.indicesAt, table.statusesAt);
      const ended = Math.max(0, count[0]); // MPI_UNDEFINED is negative
      return Array.from({ length: ended }, (_, i) => {
        const request = first + table.indices[i];
        free.push(request);
        if (!isReceive[request]) return { request, bytes: 0 };
        getCount(table.statusesAt + BigInt(i * abi.statusSize), byte, countAt);
        return { request, bytes: count[0] };
      });
    },
  };
}
