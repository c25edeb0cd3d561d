/** Names that Node defines everywhere; the bundler puts them where they are used. */
export { Buffer } from './buffer.ts';
export { process } from './process.ts';
