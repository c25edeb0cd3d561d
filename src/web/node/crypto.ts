import { sha256 } from '@noble/hashes/sha2.js';
import { Buffer } from './buffer.ts';
import { bytesOf } from './bytes.ts';

interface Hash {
  update(data: string | Uint8Array): Hash;
  digest(): Buffer;
  digest(encoding: 'hex' | 'base64'): string;
}

/** SHA-256, the only one that the program uses. */
export function createHash(_algorithm: 'sha256'): Hash {
  const state = sha256.create();
  const made: Hash = {
    update(data) {
      state.update(bytesOf(data));
      return made;
    },
    digest: ((encoding?: 'hex' | 'base64') => {
      const bytes = Buffer.from(state.digest());
      return encoding === undefined ? bytes : bytes.toString(encoding);
    }) as Hash['digest'],
  };
  return made;
}

export const hash = (algorithm: 'sha256', data: string | Uint8Array): string =>
  createHash(algorithm).update(data).digest('hex');
