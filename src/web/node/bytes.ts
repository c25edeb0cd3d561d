/** Bytes of an argument that may be text, which is encoded as UTF-8, as in Node's functions. */
export const bytesOf = (data: string | Uint8Array): Uint8Array =>
  typeof data === 'string' ? new TextEncoder().encode(data) : data;
