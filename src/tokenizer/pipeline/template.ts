/** The post-processor of tokenizer.json, which may add special tokens around a text. */
import { shownJson } from '../../json.ts';
import { asObject, type JsonObject } from '../tokenizer-json.ts';
import { oneOf, readSequence, type Field } from './fields.ts';

/** Ids before and after each text. */
export interface Template {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export const noTemplate: Template = { before: [], after: [] };

type Reader = (json: JsonObject, field: Field) => Template;

const readers: Readonly<Record<string, Reader>> = {
  // Changes offsets only, which are not used here.
  ByteLevel: () => noTemplate,
  TemplateProcessing(json, field) {
    const parts = json['single'];
    if (!Array.isArray(parts)) return field.fail('single', `is ${shownJson(parts)}, not a list`);
    const texts = parts.map((part) => asObject(part)['Sequence']).filter((part) => part !== undefined);
    if (texts.length !== 1 || asObject(texts[0])['id'] !== 'A')
      return field.fail('single', 'does not contain the text exactly once');
    const at = parts.findIndex((part) => asObject(part)['Sequence'] !== undefined);
    const known = asObject(json['special_tokens']);
    const idsOf = (part: unknown): number[] => {
      const { id } = asObject(asObject(part)['SpecialToken']);
      const { ids } = asObject(typeof id === 'string' ? known[id] : undefined);
      const isList = Array.isArray(ids) && ids.every((each) => Number.isSafeInteger(each) && each >= 0);
      return isList
        ? (ids as number[])
        : field.fail('special_tokens', `has no ids of ${shownJson(id)}, which "single" names`);
    };
    return { before: parts.slice(0, at).flatMap(idsOf), after: parts.slice(at + 1).flatMap(idsOf) };
  },
};

/** @param size number of tokens */
export function readTemplate(json: unknown, field: Field, size: number): Template {
  const members = readSequence(json, field, 'processors');
  const all = members.map((each) => oneOf(readers, each.json, each.field)(each.json, each.field));
  // Each adds tokens around the result of the previous one.
  const template = all.reduce(
    ({ before, after }, next) => ({ before: [...next.before, ...before], after: [...after, ...next.after] }),
    noTemplate,
  );
  const unknown = [...template.before, ...template.after].find((id) => id >= size);
  if (unknown !== undefined) field.fail('special_tokens', `has the id ${unknown}, which is not a token`);
  return template;
}
