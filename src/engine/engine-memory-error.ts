import { UserError } from '../errors.ts';

/** The model needs more memory than the engine can address or the computer has. */
export class EngineMemoryError extends UserError {
  override readonly name = 'EngineMemoryError';
  constructor(message: string, options: { hint: string; cause?: unknown }) {
    super('out-of-memory', message, options);
  }
}
