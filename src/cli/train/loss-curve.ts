/** A training curve with a bounded number of points, for a run of any length. */

export type Point = readonly [step: number, loss: number];

export interface LossCurve {
  readonly points: readonly Point[];
  add(step: number, loss: number): void;
  /** Removes the points after a step. */
  rollBack(step: number): void;
}

/** @param mostPoints even. At this number, adjacent points are merged, and each new point then averages twice as many steps. */
export function createLossCurve(mostPoints: number): LossCurve {
  let points: Point[] = [];
  let stepsInPoint = 1;
  let pending: number[] = [];
  return {
    get points() {
      return points;
    },
    add(step, loss) {
      pending.push(loss);
      if (pending.length < stepsInPoint) return;
      points.push([step, pending.reduce((a, b) => a + b, 0) / pending.length]);
      pending = [];
      if (points.length < mostPoints) return;
      stepsInPoint *= 2;
      points = points
        .filter((_, i) => i % 2 === 1)
        .map(([at, late], i) => [at, (late + points[2 * i][1]) / 2]);
    },
    rollBack(step) {
      points = points.filter(([at]) => at <= step);
      pending = [];
    },
  };
}
