/** Muon's Newton–Schulz iteration, reimplemented; src/train/muon.ts has the engine's. */
export const [ALPHA, BETA, GAMMA] = [3.4445, -4.775, 2.0315];

/** Maps a singular value by one iteration. */
export const polynomial = (s) => ALPHA * s + BETA * s ** 3 + GAMMA * s ** 5;

/** A singular value after each of `iterations` iterations. */
export function course(s, iterations = 5) {
  const values = [s];
  for (let i = 0; i < iterations; i++) values.push(polynomial(values.at(-1)));
  return values.slice(1);
}
