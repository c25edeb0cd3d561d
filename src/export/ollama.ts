/** A model as a folder that `ollama create` reads: a GGUF file and a Modelfile. */
import { CHATML, IM_END, IM_START } from '../chat/chatml.ts';
import { UserError } from '../errors.ts';
import { optionValues } from '../messages.ts';
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { asObject } from '../tokenizer/tokenizer-json.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { QWEN2_RULE, splittingRule } from './splitting-rules.ts';

export const MODELFILE = 'Modelfile';
export const MODEL = 'model.gguf';

/** ChatML in Ollama's template language. */
const CHATML_TEMPLATE = `{{- range .Messages }}${IM_START}{{ .Role }}
{{ .Content }}${IM_END}
{{ end }}${IM_START}assistant
`;

/**
 * For a model that does not chat, the template is the prompt alone. For well-known models, Ollama recognizes the chat
 * template in the GGUF file and uses its own.
 */
const templateLine = ({ chatTemplate }: Tokenizer): string => {
  if (chatTemplate !== undefined && chatTemplate !== CHATML) return '';
  return `TEMPLATE """${chatTemplate === undefined ? '{{ .Prompt }}' : CHATML_TEMPLATE}"""\n`;
};

/**
 * Sets the sampling parameters of `gpt sample` where Ollama's defaults differ. A text ends at the context length, since a
 * char or word model may have no end token.
 */
export const modelfile = ({
  config: { blockSize },
  tokenizer,
}: Pick<ModelFolder, 'config' | 'tokenizer'>): string => `FROM ./${MODEL}
${templateLine(tokenizer)}PARAMETER num_ctx ${blockSize}
PARAMETER num_predict ${blockSize}
PARAMETER temperature 0.8
PARAMETER top_k 0
PARAMETER top_p 1
PARAMETER min_p 0
PARAMETER repeat_penalty 1
`;

/**
 * Ollama runs Qwen3 models on its own engine, which always splits text by Qwen's rule and requires both parts of a merge to
 * be tokens. GPT-2 and Llama run on llama.cpp.
 *
 * @returns differences in its behavior, one per line
 * @throws UserError for a model that would get other token ids
 */
export function checkOllama({ config, tokenizer }: Pick<ModelFolder, 'config' | 'tokenizer'>): string[] {
  if (config.arch !== 'qwen3' || tokenizer.kind === 'char') return [];
  if (tokenizer.kind === 'word')
    throw new UserError('unsupported-format', 'Ollama does not read word tokenizers of Qwen3 models', {
      hint: `use ${optionValues({ format: 'gguf' })} with llama.cpp, or train with ${optionValues({ arch: 'llama' })} or ${optionValues({ tokenizer: 'bpe' })}`,
    });
  if (splittingRule(asObject(tokenizer.toJSON())) === QWEN2_RULE) return [];
  return ['Ollama splits the text for Qwen3 models by a rule of its own: numbers become single digits'];
}
