/** The post-processor of tokenizer.json, which may add special tokens around each text. */
import { asObject } from './tokenizer-json.ts';

/** Whether a post-processor leaves the ids unchanged. ByteLevel adjusts only offsets, which are not used here. */
export function addsNothing(postProcessor: unknown): boolean {
  const { type } = asObject(postProcessor);
  if (type === undefined || type === 'ByteLevel') return true;
  const parts = templateParts(postProcessor);
  return parts?.length === 1 && asObject(parts[0])['Sequence'] !== undefined;
}

/** The template for a single text, alone or after a ByteLevel. */
function templateParts(postProcessor: unknown): unknown[] | undefined {
  const { type, single, processors } = asObject(postProcessor);
  if (type === 'Sequence' && Array.isArray(processors)) {
    const templates: unknown[] = processors.filter((each) => asObject(each)['type'] !== 'ByteLevel');
    if (templates.length === 0) return [{ Sequence: {} }];
    return templates.length === 1 ? templateParts(templates[0]) : undefined;
  }
  return type === 'TemplateProcessing' && Array.isArray(single) ? single : undefined;
}

/** A post-processor that prepends a token to each text. */
export const templateWithFirst = (token: string, id: number): unknown => {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const sequence = (name: string): unknown => ({ Sequence: { id: name, type_id: 0 } });
  return {
    type: 'TemplateProcessing',
    single: [special, sequence('A')],
    pair: [special, sequence('A'), special, sequence('B')],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
};
