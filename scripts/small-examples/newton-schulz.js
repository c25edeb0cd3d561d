/** The iteration of Muon, written out once more: src/train/muon.ts has the engine's. */
export const [ALPHA, BETA, GAMMA] = [3.4445, -4.775, 2.0315];

/** What an iteration makes of a singular value. */
export const polynomial = (s) => ALPHA * s + BETA * s ** 3 + GAMMA * s ** 5;

/** What `iterations` make of it, one after the other. */
export function course(s, iterations = 5) {
  const values = [s];
  for (let i = 0; i < iterations; i++) values.push(polynomial(values.at(-1)));
  return values.slice(1);
}
