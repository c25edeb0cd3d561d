export { Buffer } from 'buffer/';

/** Its only use clears registers that machine code outside WebAssembly reads, which a browser does itself. */
export const isAscii = (): boolean => true;
