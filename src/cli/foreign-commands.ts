/** Commands of other tools that have another name here. */

/** Names in other tools, by the command and flag that correspond to them here. */
const namesElsewhere: Readonly<Record<string, string>> = {
  sample: 'generate generation complete write run infer inference predict prompt',
  'sample -i': 'interactive repl',
  'train --resume': 'resume continue',
  'train --init-from': 'finetune fine-tune finetuning sft',
  eval: 'evaluate evaluation perplexity ppl test score validate',
  tokenize: 'tokenizer tokens encode decode detokenize',
  inspect: 'info show describe analyze attention',
  report: 'plot visualize dashboard',
  compare: 'diff',
  list: 'ls runs models history',
  rm: 'remove delete del',
  prune: 'clean cleanup gc',
  export: 'convert gguf quantize save',
  plan: 'estimate forecast',
  bench: 'benchmark speed',
};

/** The command that another tool calls `name`; undefined if none is known. */
export const commandFor = (name: string): string | undefined =>
  Object.keys(namesElsewhere).find((command) => namesElsewhere[command].split(' ').includes(name));
