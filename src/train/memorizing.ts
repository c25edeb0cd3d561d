/** When a model memorizes its text instead of learning from it. */

/** Trained parameters per token of text above which it is likely. */
const TRAINED_PER_TOKEN = 8;
/**
 * Epochs that do little harm: the first four teach about as much as new text, and from sixteen on little is gained
 * (Muennighoff et al. 2023).
 */
const HARMLESS_EPOCHS = 4;

/** @param parameters all that are trained */
export const isLikelyMemorized = (parameters: number, trainTokens: number, epochs: number): boolean =>
  parameters > TRAINED_PER_TOKEN * trainTokens && epochs > HARMLESS_EPOCHS;
