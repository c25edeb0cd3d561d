/** Indices of the k largest numbers in descending order; ties go to the smaller index. NaN is never included. */
export function indicesOfLargest(values: ArrayLike<number>, k: number): number[] {
  const best: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isNaN(value) || k === 0) continue;
    if (best.length === k && !(value > values[best[k - 1]])) continue;
    let place = best.length;
    while (place > 0 && value > values[best[place - 1]]) place--;
    best.splice(place, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}
