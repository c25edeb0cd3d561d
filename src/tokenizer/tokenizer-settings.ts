/** What the files beside tokenizer.json, or beside vocab.json and merges.txt, say of a tokenizer: tokenizer_config.json and others. */
import type { AddedToken } from './added-tokens.ts';
import type { SpecialTokens } from './tokenizer.ts';

export interface TokenizerSettings {
  /** Tokens to add: those listed with their ids, and those that only have a role. */
  readonly added: readonly AddedToken[];
  /** Which token plays which role: `eos_token`, `pad_token`, … */
  readonly roles: Readonly<Record<string, string>>;
  /** Special tokens without a role. */
  readonly extra: readonly string[];
  /** Plays bos_token, eos_token and unk_token where nothing else does; undefined: nothing. */
  readonly defaultToken: string | undefined;
  /** Whether a space goes in front of texts that start without one; undefined: as tokenizer.json says. */
  readonly addPrefixSpace: boolean | undefined;
  /** Whether each text starts with the bos_token; undefined: as tokenizer.json says. */
  readonly addBosToken: boolean | undefined;
  /** Tokens that are only implied get no ids from here on. 0 if there is no model. */
  readonly embeddingRows: number;
}

/** Of a file by itself: `<|endoftext|>` has its roles if it is an added token. */
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
 * The settings with their default token in the roles and among those to add, if it is known or the embedding has a
 * row for it.
 *
 * @param known tokens that may be special
 * @param size how many tokens the vocabulary has
 */
export function withDefaultToken(
  settings: TokenizerSettings,
  known: ReadonlySet<string>,
  size: number,
): TokenizerSettings {
  const { defaultToken: content, roles, embeddingRows } = settings;
  const open = BOUNDARIES.filter((role) => roles[role] === undefined);
  if (content === undefined || open.length === 0) return settings;
  const added = [...settings.added, { content, id: undefined, special: true }];
  const isKnown = known.has(content) || settings.added.some((token) => token.content === content);
  if (!isKnown && size >= embeddingRows) return settings;
  return {
    ...settings,
    added,
    roles: { ...roles, ...Object.fromEntries(open.map((role) => [role, content])) },
  };
}

/** Roles and what follows from them, as far as no generation_config.json says otherwise: `<unk>` is no boundary. */
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
