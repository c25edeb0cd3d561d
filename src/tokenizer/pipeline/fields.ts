/** Reading components of tokenizer.json, with errors that name the field: `pre_tokenizer.pretokenizers[0].type`. */
import { shownJson } from '../../json.ts';
import { asObject, type JsonObject, type Refuse } from '../tokenizer-json.ts';

/** A component of tokenizer.json, with readers for its fields that throw errors naming them. */
export class Field {
  readonly path: string;
  readonly #refuse: Refuse;

  constructor(path: string, refuse: Refuse) {
    this.path = path;
    this.#refuse = refuse;
  }

  /** @param what follows the name of the field in the message */
  fail(name: string, what: string): never {
    return this.#refuse(`"${this.path}.${name}" ${what}`);
  }

  member(list: string, i: number): Field {
    return new Field(`${this.path}.${list}[${i}]`, this.#refuse);
  }

  object(json: JsonObject, name: string): JsonObject {
    const value = json[name];
    return typeof value === 'object' && value !== null
      ? asObject(value)
      : this.fail(name, `is ${shownJson(value)}, not an object`);
  }

  text(json: JsonObject, name: string): string {
    const value = json[name];
    return typeof value === 'string' && value.isWellFormed()
      ? value
      : this.fail(name, `is ${shownJson(value)}, not a text`);
  }

  /** A character of one UTF-16 unit. */
  character(json: JsonObject, name: string): string {
    const text = this.text(json, name);
    return text.length === 1 ? text : this.fail(name, `is ${shownJson(text)}, not one character`);
  }

  /** @param absent value of a missing field; undefined: it must be there */
  flag(json: JsonObject, name: string, absent?: boolean): boolean {
    const value = json[name] ?? absent;
    return typeof value === 'boolean'
      ? value
      : this.fail(name, `is ${shownJson(json[name])}, not true or false`);
  }

  /** A whole number from 0 to 100. */
  count(json: JsonObject, name: string): number {
    const value = json[name];
    return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 100
      ? value
      : this.fail(name, `is ${shownJson(value)}, not a number from 0 to 100`);
  }

  choice<T extends string>(json: JsonObject, name: string, choices: readonly T[], absent?: T): T {
    const value = json[name] ?? absent;
    return (
      choices.find((each) => each === value) ??
      this.fail(name, `is ${shownJson(json[name])}, not one of ${choices.join(', ')}`)
    );
  }
}

export interface Member {
  readonly json: JsonObject;
  readonly field: Field;
}

/** The components in order: none for null, the members of a Sequence, or the component itself. */
export function readSequence(json: unknown, field: Field, list: string): Member[] {
  if (json === null || json === undefined) return [];
  const component = asObject(json);
  if (component['type'] !== 'Sequence') return [{ json: component, field }];
  const members = component[list];
  if (!Array.isArray(members)) return field.fail(list, `is ${shownJson(members)}, not a list`);
  return members.flatMap((each, i) => readSequence(asObject(each), field.member(list, i), list));
}

/** The entry of a table for the type of a component. */
export function oneOf<T>(table: Readonly<Record<string, T>>, json: JsonObject, field: Field): T {
  const { type } = json;
  return typeof type === 'string' && Object.hasOwn(table, type)
    ? table[type]
    : field.fail('type', `is ${shownJson(type)}, which is not supported`);
}
