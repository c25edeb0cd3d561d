/** Draws the map of token embeddings as SVG, as large as the page allows, with as many labels as fit without overlap. */
{
  type PageData = import('./page-data.ts').PageData;
  type EmbeddingData = import('./page-data.ts').EmbeddingData;

  const { embeddings } = JSON.parse(document.getElementById('page-data')!.textContent) as PageData;
  if (embeddings !== null) startMap(embeddings);

  function startMap(map: EmbeddingData): void {
    const place = document.getElementById('embedding-map')!;
    const choice = document.getElementById('map-token') as HTMLSelectElement;
    const reading = document.getElementById('map-reading')!;
    let chosen = -1;
    let points: readonly { readonly x: number; readonly y: number }[] = [];

    const choose = (token: number): void => {
      chosen = token;
      choice.value = token < 0 ? '' : String(token);
      reading.textContent =
        token < 0
          ? 'Choose a token, or point at one, to see its nearest neighbors.'
          : `nearest: ${map.nearest[token].map((i) => map.labels[i]).join('  ')}`;
      redraw();
    };
    const redraw = (): void => {
      const layout = layoutFor(map, place.clientWidth);
      points = layout.points;
      place.replaceChildren(drawing(map, layout, chosen));
    };
    choice.addEventListener('change', () => choose(choice.value === '' ? -1 : Number(choice.value)));
    place.addEventListener('click', (event) => {
      const box = place.getBoundingClientRect();
      choose(closest(points, event.clientX - box.left, event.clientY - box.top));
    });
    let width = 0;
    new ResizeObserver(() => {
      if (place.clientWidth === width) return;
      width = place.clientWidth;
      redraw();
    }).observe(place);
  }

  interface MapLayout {
    readonly width: number;
    readonly height: number;
    readonly points: readonly { readonly x: number; readonly y: number }[];
  }

  /** Both axes share one scale, so that distances are comparable in all directions. */
  function layoutFor({ x, y }: EmbeddingData, width: number): MapLayout {
    const margin = 28;
    const [left, right] = [Math.min(...x), Math.max(...x)];
    const [bottom, top] = [Math.min(...y), Math.max(...y)];
    const [across, up] = [right - left || 1, top - bottom || 1];
    const height = Math.max(280, Math.min(0.95 * width, 640, (width * up) / across));
    const scale = Math.min((width - 2 * margin) / across, (height - 2 * margin) / up);
    const points = x.map((value, i) => ({
      x: width / 2 + (value - (left + right) / 2) * scale,
      y: height / 2 - (y[i] - (bottom + top) / 2) * scale,
    }));
    return { width, height, points };
  }

  function closest(points: MapLayout['points'], x: number, y: number): number {
    let best = -1;
    let distance = 40;
    points.forEach((point, i) => {
      const d = Math.hypot(point.x - x, point.y - y);
      if (d < distance) [best, distance] = [i, d];
    });
    return best;
  }

  const element = (name: string, attributes: Readonly<Record<string, string | number>>): SVGElement => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    return made;
  };

  function drawing(map: EmbeddingData, { width, height, points }: MapLayout, chosen: number): SVGElement {
    const svg = element('svg', { width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' });
    const marked = new Set(chosen < 0 ? [] : [chosen, ...map.nearest[chosen]]);
    if (chosen >= 0)
      for (const i of map.nearest[chosen])
        svg.append(
          element('line', {
            x1: points[chosen].x,
            y1: points[chosen].y,
            x2: points[i].x,
            y2: points[i].y,
            class: 'tie',
          }),
        );
    const labels = element('g', {}); // in front of the dots
    const taken: { left: number; right: number; y: number }[] = [];
    const order = [...marked, ...points.keys()].filter((token, i, all) => all.indexOf(token) === i);
    for (const token of order) {
      const { x, y } = points[token];
      const label = map.labels[token];
      const half = 4 * Array.from(label).length + 2;
      const isFree = taken.every(
        (box) => x + half < box.left || x - half > box.right || Math.abs(y - box.y) > 13,
      );
      const fades = chosen >= 0 && !marked.has(token) ? ' faded' : '';
      const kind = `kind-${map.kind[token]}${token === chosen ? ' chosen' : ''}${fades}`;
      if (isFree || marked.has(token)) {
        taken.push({ left: x - half, right: x + half, y });
        const text = element('text', { x, y, class: kind });
        text.textContent = label;
        labels.append(text);
      } else svg.append(element('circle', { cx: x, cy: y, r: 2, class: kind }));
    }
    svg.append(labels);
    return svg;
  }
}
