import { join } from 'node:path';
import { UserError, holds } from '../errors.ts';
import { parseJsonObject } from '../json.ts';
import { readTextFile } from '../read-file.ts';

/** In bytes. */
const LARGEST = 1e6;

/** Whether `gpt train` wrote the config.json of a folder. transformers preserves the mark when it saves the model. */
export const hasOwnConfig = (folder: string): boolean =>
  holds(() => {
    const path = join(folder, 'config.json');
    const config = parseJsonObject(readTextFile(path, LARGEST), (what) => {
      throw new UserError('damaged-file', `${path} ${what}`, {
        hint: 'the file is damaged; use another copy',
      });
    });
    return config['gpt_trainer_format'] !== undefined;
  });
