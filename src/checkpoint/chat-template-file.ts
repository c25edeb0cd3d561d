/**
 * The chat template of a model folder: chat_template.jinja, or "chat_template" in tokenizer_config.json. The latter is the
 * one written, because transformers 4 and 5 both read it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { isJsonObject, shownJson } from '../json.ts';
import { readTextFile } from '../read-file.ts';
import { readOptionalJson } from './tokenizer-config.ts';

const TEMPLATE_FILE = 'chat_template.jinja';
/** In bytes. */
const LARGEST = 4e6;

/**
 * The template, if the folder has one. Of several in a list, the one named "default".
 *
 * @throws UserError if it is not text
 */
export function readChatTemplate(folder: string): string | undefined {
  const file = join(folder, TEMPLATE_FILE);
  if (existsSync(file)) return readTextFile(file, LARGEST);
  const config = join(folder, 'tokenizer_config.json');
  const template = readOptionalJson(config)?.['chat_template'];
  if (template === undefined || template === null || typeof template === 'string')
    return template ?? undefined;
  const named = Array.isArray(template)
    ? template.find((each: unknown) => isJsonObject(each) && each['name'] === 'default')
    : undefined;
  const text: unknown = (named as Record<string, unknown> | undefined)?.['template'];
  if (typeof text === 'string') return text;
  throw new UserError(
    'unsupported-format',
    `${config}: "chat_template" is ${shownJson(template)}, not a template`,
    {
      hint: 'set it to the text of a template, or delete it',
    },
  );
}
