/** Reads and validates fields of a config.json; errors name file and field. */
import { UserError, type ErrorCode } from '../errors.ts';
import { shownJson } from '../json.ts';

const WRONG_TYPE = 'correct the file, or use another copy';

export class ConfigReader {
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #file: string;

  constructor(json: Readonly<Record<string, unknown>>, file: string) {
    this.#json = json;
    this.#file = file;
  }

  /** @throws UserError always */
  fail(
    message: string,
    hint = 'docs/bring-a-model.md says which models can be read',
    code: ErrorCode = 'unsupported-format',
  ): never {
    throw new UserError(code, `${this.#file}: ${message}`, { hint });
  }

  get(field: string): unknown {
    return this.#json[field] ?? undefined;
  }

  /** The file has the field; its value may be null. */
  has(field: string): boolean {
    return Object.hasOwn(this.#json, field);
  }

  /** One of several values; the first is the default. */
  oneOf<T>(field: string, wanted: readonly T[]): T {
    const value = (this.get(field) ?? wanted[0]) as T;
    if (!wanted.includes(value))
      this.fail(`"${field}" is ${shownJson(value)}; supported: ${wanted.map(shownJson).join(', ')}`);
    return value;
  }

  /** An integer of at least 1. */
  wholeNumber(field: string): number {
    const value = this.get(field);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
    const shown = shownJson(this.#json[field]);
    return this.fail(`"${field}" is ${shown}, not a whole number of at least 1`, WRONG_TYPE, 'damaged-file');
  }

  /** The same, or undefined where the field is null. @param fallback where the field is absent */
  optionalWholeNumber(field: string, fallback?: number): number | undefined {
    if (!this.has(field)) return fallback;
    return this.get(field) === undefined ? undefined : this.wholeNumber(field);
  }

  /** A number in [0, 1). */
  belowOne(field: string, fallback: number): number {
    const value = this.get(field) ?? fallback;
    if (typeof value === 'number' && value >= 0 && value < 1) return value;
    return this.fail(
      `"${field}" is ${shownJson(value)}, not a number of at least 0 and below 1`,
      WRONG_TYPE,
      'damaged-file',
    );
  }
}
