import { join } from 'node:path';
import { UserError, holds } from '../errors.ts';
import { parseJsonObject } from '../json.ts';
import { readTextFile } from '../read-file.ts';

/** In bytes. */
const LARGEST = 1e6;

/** Version of the fields specific to this program; their presence marks a folder that `gpt train` wrote. */
export const OWN_FORMAT = 1;
export const OWN_MARK = { gpt_trainer_format: OWN_FORMAT };

/**
 * True if `gpt train` wrote the folder's config.json or, for an adapter, generation_config.json. transformers preserves the
 * mark when it saves the model.
 */
export const hasOwnConfig = (folder: string): boolean =>
  ['config.json', 'generation_config.json'].some((file) => hasMark(join(folder, file)));

const hasMark = (path: string): boolean =>
  holds(() => {
    const config = parseJsonObject(readTextFile(path, LARGEST), (what) => {
      throw new UserError('damaged-file', `${path} ${what}`, {
        hint: 'the file is damaged; use another copy',
      });
    });
    return config['gpt_trainer_format'] !== undefined;
  });
