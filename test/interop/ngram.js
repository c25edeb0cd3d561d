/** Prints the probabilities that our n-gram model gives: text, vocabulary size, order, discounts and contexts come as JSON. */
import { countNgrams, createNgramModel } from '../../dist/evaluate/baselines/kneser-ney.js';

const { text, vocabSize, discounts, contexts } = JSON.parse(process.argv[2]);
const source = { length: text.length, slice: (from, to) => text.slice(from, to) };
const model = createNgramModel(countNgrams(source, vocabSize, discounts.length), discounts);
const tokens = Array.from({ length: vocabSize }, (_, token) => token);
process.stdout.write(
  JSON.stringify(contexts.map((before) => tokens.map((token) => model.probability(before, token)))),
);
