/** Attention viewer: a shaded table, and the text shaded by one of its rows. */
{
  type PageData = import('./page-data.ts').PageData;
  type AttentionData = import('./page-data.ts').AttentionData;

  const elementOf = (id: string): HTMLElement => document.getElementById(id)!;

  /** Index of row i, column j in a map that stores its lower triangle by rows. */
  const at = (i: number, j: number): number => (i * (i + 1)) / 2 + j;

  /** Shades a cell or token. A square-root scale makes small percentages easier to distinguish. */
  const shade = (element: HTMLElement, percent: number): void =>
    element.style.setProperty('--p', Math.sqrt(percent / 100).toFixed(3));

  const newHeader = (scope: 'row' | 'col', text: string): HTMLTableCellElement => {
    const cell = document.createElement('th');
    cell.scope = scope;
    cell.textContent = text;
    return cell;
  };

  /** Headers longer than one character are rotated. */
  function columnHeader(label: string): HTMLTableCellElement {
    const cell = newHeader('col', '');
    const name = document.createElement('span');
    name.textContent = label;
    if (Array.from(label).length === 1) name.className = 'upright';
    cell.append(name);
    return cell;
  }

  /** Builds the table of a map. @returns its cells; row i has i + 1 */
  function buildTable(labels: readonly string[], choose: (row: number) => void): HTMLTableCellElement[][] {
    const table = elementOf('attention-map') as HTMLTableElement;
    const head = table.createTHead().insertRow();
    head.append(document.createElement('td'), ...labels.map(columnHeader));
    const body = table.createTBody();
    return labels.map((label, i) => {
      const line = body.insertRow();
      line.append(newHeader('row', label));
      line.addEventListener('click', () => choose(i));
      return labels.slice(0, i + 1).map(() => {
        const cell = line.insertCell();
        cell.append(document.createElement('span'));
        return cell;
      });
    });
  }

  /** The text as buttons, one per token, that select a row. */
  function buildTokens(labels: readonly string[], choose: (row: number) => void): HTMLButtonElement[] {
    const buttons = labels.map((label, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', () => choose(i));
      return button;
    });
    elementOf('attention-tokens').append(...buttons);
    return buttons;
  }

  /** The selection of a layer and a head; −1 averages over all of them. */
  function startChoice({ nLayer, nHead, maps }: AttentionData, changed: () => void) {
    const layerChoice = elementOf('attention-layer') as HTMLSelectElement;
    const headChoice = elementOf('attention-head') as HTMLSelectElement;
    const chosen = () => ({ layer: Number(layerChoice.value), head: Number(headChoice.value) });

    /** Steps from the overall mean through every head, layer by layer, and back. */
    const step = (by: number): void => {
      const { layer, head } = chosen();
      const place = layer < 0 || head < 0 ? 0 : 1 + layer * nHead + head;
      const next = (place + by + nLayer * nHead + 1) % (nLayer * nHead + 1);
      layerChoice.value = String(next === 0 ? -1 : Math.floor((next - 1) / nHead));
      headChoice.value = String(next === 0 ? -1 : (next - 1) % nHead);
      changed();
    };
    elementOf('attention-back').addEventListener('click', () => step(-1));
    elementOf('attention-on').addEventListener('click', () => step(1));
    for (const choice of [layerChoice, headChoice]) choice.addEventListener('change', changed);

    /** Percentages of the selected map, or the mean of several. */
    return (): number[] => {
      const { layer, head } = chosen();
      const included = maps.filter(
        (_, i) => (layer < 0 || Math.floor(i / nHead) === layer) && (head < 0 || i % nHead === head),
      );
      return maps[0].map((_, i) => included.reduce((sum, map) => sum + map[i], 0) / included.length);
    };
  }

  function startAttention(data: AttentionData): void {
    const { labels } = data;
    let row = labels.length - 1;
    const choose = (chosen: number): void => {
      row = chosen;
      update();
    };
    const cells = buildTable(labels, choose);
    const buttons = buildTokens(labels, choose);
    const chosenMap = startChoice(data, update);
    elementOf('attention-tokens').addEventListener('keydown', (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (move === undefined) return;
      event.preventDefault();
      choose(Math.min(labels.length - 1, Math.max(0, row + move)));
      buttons[row].focus();
    });
    update();

    function update(): void {
      const map = chosenMap();
      cells.forEach((line, i) => {
        line.forEach((cell, j) => showCell(cell, map[at(i, j)], `${labels[i]} → ${labels[j]}`));
        line[0].parentElement!.classList.toggle('chosen', i === row);
      });
      buttons.forEach((button, j) => {
        shade(button, j <= row ? map[at(row, j)] : 0);
        button.setAttribute('aria-pressed', String(j === row));
        button.classList.toggle('later', j > row);
      });
      elementOf('attention-reading').textContent = readingOf(labels, map, row);
    }
  }

  function showCell(cell: HTMLElement, percent: number, label: string): void {
    shade(cell, percent);
    cell.title = `${label}: ${percent.toFixed(0)}%`;
    cell.firstElementChild!.textContent = `${percent.toFixed(0)}%`;
  }

  /** A row in words: the three tokens with the largest weights. */
  function readingOf(labels: readonly string[], map: readonly number[], row: number): string {
    const strongest = labels
      .slice(0, row + 1)
      .map((label, j) => ({ label, percent: map[at(row, j)] }))
      .sort((a, b) => b.percent - a.percent)
      .slice(0, 3);
    return `“${labels[row]}” attends to ${strongest.map(({ label, percent }) => `“${label}” ${percent.toFixed(0)}%`).join(', ')}`;
  }

  const { attention } = JSON.parse(elementOf('page-data').textContent) as PageData;
  if (attention !== null) startAttention(attention);
}
