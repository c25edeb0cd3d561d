/** Settings of a tokenizer from the other files of its folder, such as tokenizer_config.json. */
import { SPECIAL, type AddedToken } from './added-tokens.ts';
import type { SpecialTokens } from './tokenizer.ts';

export interface TokenizerSettings {
  /** Tokens to add: listed ones with their ids, and tokens that only have a role. */
  readonly added: readonly AddedToken[];
  /** Token by role: `eos_token`, `pad_token`, … */
  readonly roles: Readonly<Record<string, string>>;
  /** Special tokens without a role. */
  readonly extra: readonly string[];
  /** Token for the roles bos_token, eos_token and unk_token if no file assigns them; undefined: none. */
  readonly defaultToken: string | undefined;
  /** Prepend a space to texts that start without one; undefined: as in tokenizer.json. */
  readonly addPrefixSpace: boolean | undefined;
  /** Prepend the bos_token to each text; undefined: as in tokenizer.json. */
  readonly addBosToken: boolean | undefined;
  /** Tokens that are only implied get no id from here on. 0 without a model. */
  readonly embeddingRows: number;
}

/** Settings of a lone tokenizer.json, in which `<|endoftext|>` has its roles if it is an added token. */
export const noSettings: TokenizerSettings = {
  added: [],
  roles: {},
  extra: [],
  defaultToken: '<|endoftext|>',
  addPrefixSpace: undefined,
  addBosToken: undefined,
  embeddingRows: 0,
};

const BOUNDARIES = ['bos_token', 'eos_token', 'unk_token'];

/**
 * Adds the default token to roles and added tokens if it is known or the embedding has a row for it.
 *
 * @param known tokens that may be special
 * @param size number of tokens in the vocabulary
 */
export function withDefaultToken(
  settings: TokenizerSettings,
  known: ReadonlySet<string>,
  size: number,
): TokenizerSettings {
  const { defaultToken: content, roles, embeddingRows } = settings;
  const open = BOUNDARIES.filter((role) => roles[role] === undefined);
  if (content === undefined || open.length === 0) return settings;
  const added = [...settings.added, { content, id: undefined, ...SPECIAL }];
  const isKnown = known.has(content) || settings.added.some((token) => token.content === content);
  if (!isKnown && size >= embeddingRows) return settings;
  return {
    ...settings,
    added,
    roles: { ...roles, ...Object.fromEntries(open.map((role) => [role, content])) },
  };
}

/**
 * Special tokens by their roles, used where no generation_config.json overrides them. `<unk>` neither starts nor ends a
 * text.
 */
export function specialTokensOf(
  { roles, extra }: Pick<TokenizerSettings, 'roles' | 'extra'>,
  tokens: readonly string[],
  unkId: number | undefined,
): SpecialTokens {
  const boundary = (role: string): number | undefined => {
    const id = roles[role] === undefined ? -1 : tokens.indexOf(roles[role]);
    return id < 0 || id === unkId ? undefined : id;
  };
  const end = boundary('eos_token');
  return { roles, extra, startId: boundary('bos_token'), endIds: new Set(end === undefined ? [] : [end]) };
}
