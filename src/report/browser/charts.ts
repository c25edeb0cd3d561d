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

  function draw(chart: ChartData): void {
    const place = document.getElementById(chart.id)!;
    const joined = uPlot.join(chart.series.map(({ steps, values }) => [[...steps], [...values]]));
    const plot = new uPlot(plotOptions(chart, joined, place.clientWidth), joined, place);
    moveWithKeys(plot, place, joined[0]);
    new ResizeObserver(() => {
      if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: chart.height });
    }).observe(place);
    const repaint = () => plot.redraw(false, true);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  }

  function plotOptions(chart: ChartData, joined: uPlot.AlignedData, width: number): uPlot.Options {
    const axis = {
      stroke: () => color('--muted'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: () => color('--grid'), width: 1 },
      ticks: { stroke: () => color('--grid'), width: 1, size: 4 },
      values: (_plot: uPlot, splits: number[]) => splits.map((value) => compact.format(value)),
    };
    return {
      width,
      height: chart.height,
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false } },
      scales: { x: { time: false } },
      axes: [
        { ...axis, space: 70, size: 30 },
        { ...axis, size: 60 },
      ],
      series: [
        {},
        ...chart.series.map((each) => ({
          label: each.name,
          stroke: () => color(`--line-${each.color}`),
          width: each.color === 0 ? 1 : 2,
          spanGaps: true,
          points: { show: each.steps.length === 1 },
        })),
      ],
      hooks: { setCursor: [(plot: uPlot) => showReading(chart, joined, plot.cursor.idx)] },
    };
  }

  /** Writes the values at the cursor below the chart. */
  function showReading(
    { id, digits, series }: ChartData,
    joined: uPlot.AlignedData,
    index: number | null | undefined,
  ): void {
    if (index === null || index === undefined) return;
    const values = series.map(({ name }, i) => {
      const value = nearestTo(joined[i + 1], index);
      return value === undefined ? undefined : `${name} ${value.toFixed(digits)}`.trim();
    });
    const reading = document.getElementById(`${id}-reading`)!;
    reading.textContent = `step ${joined[0][index]}: ${values.filter((text) => text !== undefined).join(', ')}`;
  }

  /** Arrow keys, Home and End move the cursor; Shift moves it ten steps at a time. */
  function moveWithKeys(plot: uPlot, place: HTMLElement, steps: uPlot.AlignedData[0]): void {
    let index = -1;
    place.addEventListener('keydown', (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (move === undefined) return;
      event.preventDefault();
      index = Math.min(steps.length - 1, Math.max(0, index + move * (event.shiftKey ? 10 : 1)));
      plot.setCursor({ left: plot.valToPos(steps[index], 'x'), top: 0 });
    });
  }

  /** The value at an index, or the last one before it, since curves have points at different steps. */
  function nearestTo(values: ArrayLike<number | null | undefined>, index: number): number | undefined {
    for (let i = index; i >= 0; i--) {
      const value = values[i];
      if (typeof value === 'number') return value;
    }
    return undefined;
  }

  data.charts.forEach(draw);
}
