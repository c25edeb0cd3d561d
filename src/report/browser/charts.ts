/**
 * Draws the curves of a report with uPlot. Each file in this folder is a script of the page, with its names in a block
 * scope.
 */
/// <reference types="uplot" />

{
  type PageData = import('./page-data.ts').PageData;
  type ChartData = import('./page-data.ts').ChartData;

  const data = JSON.parse(document.getElementById('page-data')!.textContent) as PageData;
  const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 4 });
  const color = (name: string): string =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw({ id, digits, height, series }: ChartData): void {
    const place = document.getElementById(id)!;
    const reading = document.getElementById(`${id}-reading`)!;
    const joined = uPlot.join(series.map(({ steps, values }) => [[...steps], [...values]]));
    const axis = {
      stroke: () => color('--muted'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: () => color('--grid'), width: 1 },
      ticks: { stroke: () => color('--grid'), width: 1, size: 4 },
      values: (_plot: uPlot, splits: number[]) => splits.map((value) => compact.format(value)),
    };
    const plot = new uPlot(
      {
        width: place.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false } },
        axes: [
          { ...axis, space: 70, size: 30 },
          { ...axis, size: 60 },
        ],
        series: [
          {},
          ...series.map((each) => ({
            label: each.name,
            stroke: () => color(`--line-${each.color}`),
            width: each.color === 0 ? 1 : 2,
            spanGaps: true,
            points: { show: each.steps.length === 1 },
          })),
        ],
        hooks: {
          setCursor: [
            ({ cursor: { idx } }: uPlot) => {
              if (idx === null || idx === undefined) return;
              const values = series.map(({ name }, i) => {
                const value = nearestTo(joined[i + 1] as (number | null | undefined)[], idx);
                return value === undefined ? undefined : `${name} ${value.toFixed(digits)}`.trim();
              });
              reading.textContent = `step ${joined[0][idx]}: ${values.filter((text) => text !== undefined).join(', ')}`;
            },
          ],
        },
      },
      joined,
      place,
    );

    let index = -1;
    place.addEventListener('keydown', (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (move === undefined) return;
      event.preventDefault();
      const last = joined[0].length - 1;
      index = Math.min(last, Math.max(0, index + move * (event.shiftKey ? 10 : 1)));
      plot.setCursor({ left: plot.valToPos(joined[0][index], 'x'), top: 0 });
    });
    new ResizeObserver(() => {
      if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height });
    }).observe(place);
    const repaint = () => plot.redraw(false, true);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  }

  /** The value at an index, or the last one before it, since curves have points at different steps. */
  function nearestTo(values: readonly (number | null | undefined)[], index: number): number | undefined {
    for (let i = index; i >= 0; i--) {
      const value = values[i];
      if (typeof value === 'number') return value;
    }
    return undefined;
  }

  data.charts.forEach(draw);
}
