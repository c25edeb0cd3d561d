import { readFileSync } from 'node:fs';

/**
 * Templates as models publish them, which test/interop renders with transformers, too. `thinking` leaves out what was thought
 * before earlier answers and shows an empty thought before the last one, as Qwen3's.
 */
export const templates = JSON.parse(
  readFileSync(new URL('../fixtures/chat_templates.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, string>>;
