/** What functions of Node that take text or bytes work on: text as UTF-8. */
export const bytesOf = (data: string | Uint8Array): Uint8Array =>
  typeof data === 'string' ? new TextEncoder().encode(data) : data;
