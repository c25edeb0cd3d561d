/** Node's foreign function interface, for calls into native libraries. */

export const NODE_WITH_FFI = `Node 26.9 or newer; this is ${process.versions.node}`;

/** This Node has no node:ffi. */
export class MissingFfi extends Error {}

/** @throws MissingFfi; Error if Node's permission model does not allow it */
export function loadFfi(): typeof import('node:ffi') {
  const permission = process.permission as typeof process.permission | undefined;
  if (permission !== undefined && !permission.has('ffi'))
    throw new Error("Node's permission model does not allow it without --allow-ffi");
  const emitWarning = Object.getOwnPropertyDescriptor(process, 'emitWarning')!;
  process.emitWarning = () => {}; // node:ffi warns in every thread that it is experimental
  try {
    const ffi = process.getBuiltinModule('node:ffi');
    if (ffi !== undefined) return ffi;
  } finally {
    Object.defineProperty(process, 'emitWarning', emitWarning);
  }
  throw new MissingFfi(`it needs ${NODE_WITH_FFI}`);
}

/** Address of the WebAssembly memory in the process; it stays the same when the memory grows. */
export const addressOf = (ffi: typeof import('node:ffi'), memory: WebAssembly.Memory): bigint =>
  ffi.getRawPointer(new Uint8Array(memory.buffer));
