/**
 * ChatML, the chat format of new models:
 *
 *     <|im_start|>user
 *     Hi<|im_end|>
 *     <|im_start|>assistant
 *     Hello!<|im_end|>
 */

export const IM_START = '<|im_start|>';
export const IM_END = '<|im_end|>';

/** The tokens of the template, each a special token of the vocabulary. */
export const CHATML_TOKENS: readonly string[] = [IM_START, IM_END];

/** As published with many models. */
export const CHATML = [
  '{% for message in messages %}',
  String.raw`{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}`,
  '{% endfor %}',
  String.raw`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
].join('');
