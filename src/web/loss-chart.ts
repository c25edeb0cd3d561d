/** The losses of a run, drawn while it trains. */
import uPlot from 'uplot';
import { lossText } from './numbers.ts';

/** Points drawn at most; beyond, neighbors are averaged, so that a long run is drawn as fast as a short one. */
const MOST_POINTS = 2000;

type Curve = (number | null)[];

export class LossChart {
  readonly #place: HTMLElement;
  readonly #reading: HTMLElement;
  readonly #plot: uPlot;
  #steps: number[] = [];
  #losses: number[] = [];
  /** Number of steps averaged in each point. */
  #stride = 1;
  readonly #evaluations: { readonly step: number; readonly train: number; readonly validation: number }[] =
    [];
  #pending: { sum: number; count: number } = { sum: 0, count: 0 };
  #isDue = false;
  #cursor = -1;

  /** @param place where to draw @param reading element for the values at the cursor */
  constructor(place: HTMLElement, reading: HTMLElement) {
    this.#place = place;
    this.#reading = reading;
    this.#plot = new uPlot(this.#options(), [[], [], [], []], place);
    new ResizeObserver(() => {
      if (place.clientWidth > 0) this.#plot.setSize({ width: place.clientWidth, height: HEIGHT }); // 0: not shown
    }).observe(place);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
      this.#plot.redraw(false, true),
    );
    place.addEventListener('keydown', (event) => this.#moveCursor(event));
  }

  clear(): void {
    this.#steps = [];
    this.#losses = [];
    this.#stride = 1;
    this.#pending = { sum: 0, count: 0 };
    this.#evaluations.length = 0;
    this.#cursor = -1;
    this.#draw();
  }

  addStep(step: number, loss: number): void {
    if (!Number.isFinite(loss)) return;
    this.#pending.sum += loss;
    this.#pending.count++;
    if (this.#pending.count < this.#stride) return;
    this.#steps.push(step);
    this.#losses.push(this.#pending.sum / this.#pending.count);
    this.#pending = { sum: 0, count: 0 };
    if (this.#steps.length >= MOST_POINTS) this.#thin();
    this.#draw();
  }

  addEvaluation(step: number, train: number, validation: number): void {
    this.#evaluations.push({ step, train, validation });
    this.#draw();
  }

  /** Averages pairs of neighbors. */
  #thin(): void {
    const half = Math.floor(this.#steps.length / 2);
    this.#losses = Array.from(
      { length: half },
      (_, i) => (this.#losses[2 * i] + this.#losses[2 * i + 1]) / 2,
    );
    this.#steps = Array.from({ length: half }, (_, i) => this.#steps[2 * i + 1]);
    this.#stride *= 2;
  }

  /** Draws at most once per frame. */
  #draw(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#plot.setData(this.#curves());
    });
  }

  #curves(): uPlot.AlignedData {
    const evaluated = this.#evaluations.map(({ step }) => step);
    return uPlot.join([
      [this.#steps, this.#losses],
      [evaluated, this.#evaluations.map(({ train }) => train)],
      [evaluated, this.#evaluations.map(({ validation }) => validation)],
    ]);
  }

  #options(): uPlot.Options {
    const color = (name: string): string =>
      getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = {
      stroke: () => color('--muted'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: () => color('--grid'), width: 1 },
      ticks: { stroke: () => color('--grid'), width: 1, size: 4 },
    };
    const curve = (label: string, line: number): uPlot.Series => ({
      label,
      stroke: () => color(`--line-${line}`),
      width: line === 0 ? 1 : 2,
      spanGaps: true,
      points: { show: line > 0 },
    });
    return {
      width: this.#place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false },
      scales: { x: { time: false } },
      axes: [
        { ...axis, space: 70, size: 30, incrs: STEPS },
        { ...axis, size: 50 },
      ],
      series: [{}, curve('step', 0), curve('training', 1), curve('validation', 2)],
      hooks: { setCursor: [() => this.#showReading()] },
    };
  }

  #showReading(): void {
    const index = this.#plot.cursor.idx;
    if (index === null || index === undefined) return;
    const [steps, ...curves] = this.#plot.data as [number[], ...Curve[]];
    const values = ['each step', 'training text', 'validation text'].flatMap((name, i) => {
      const value = curves[i].slice(0, index + 1).findLast((each) => typeof each === 'number');
      return value === undefined || value === null ? [] : [`${name} ${lossText(value)}`];
    });
    const reading = `step ${steps[index]}: ${values.join(', ')}`;
    this.#reading.textContent = reading;
    this.#place.ariaValueNow = String(steps[index]);
    this.#place.ariaValueText = reading;
  }

  /** Arrow keys, Home and End move the cursor; Shift moves it ten points at a time. */
  #moveCursor(event: KeyboardEvent): void {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    const [steps] = this.#plot.data;
    if (move === undefined || steps.length === 0) return;
    event.preventDefault();
    this.#cursor = Math.min(steps.length - 1, Math.max(0, this.#cursor + move * (event.shiftKey ? 10 : 1)));
    this.#plot.setCursor({ left: this.#plot.valToPos(steps[this.#cursor], 'x'), top: 0 });
  }
}

/** Distances between ticks of the axis: whole numbers of steps. */
const STEPS = Array.from({ length: 24 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));

/** In pixels. */
const HEIGHT = 280;
