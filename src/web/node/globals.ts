/** Node's globals; the bundler injects them where they are used. */
export { Buffer } from './buffer.ts';
export { process } from './process.ts';
