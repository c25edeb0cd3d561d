/** Steps through the attention maps of a model: a table of shades, and the text as a row of it sees it. */
{
  type PageData = import('./page-data.ts').PageData;
  type AttentionData = import('./page-data.ts').AttentionData;

  const { attention } = JSON.parse(document.getElementById('page-data')!.textContent) as PageData;
  if (attention !== null) startAttention(attention);

  function startAttention({ labels, nLayer, nHead, maps }: AttentionData): void {
    const T = labels.length;
    const layerChoice = document.getElementById('attention-layer') as HTMLSelectElement;
    const headChoice = document.getElementById('attention-head') as HTMLSelectElement;
    const table = document.getElementById('attention-map') as HTMLTableElement;
    const tokens = document.getElementById('attention-tokens')!;
    const reading = document.getElementById('attention-reading')!;
    let row = T - 1;

    /** Percent in row i and column j, the mean over all layers or heads where none is chosen. */
    const shown = (): number[] => {
      const [layer, head] = [Number(layerChoice.value), Number(headChoice.value)];
      const chosen = maps.filter(
        (_, at) => (layer < 0 || Math.floor(at / nHead) === layer) && (head < 0 || at % nHead === head),
      );
      return maps[0].map((_, i) => chosen.reduce((sum, map) => sum + map[i], 0) / chosen.length);
    };
    const at = (i: number, j: number): number => (i * (i + 1)) / 2 + j;

    const cells: HTMLTableCellElement[][] = [];
    const buttons = labels.map((label, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', () => {
        row = i;
        update();
      });
      tokens.append(button);
      return button;
    });
    buildTable();

    function buildTable(): void {
      const head = table.createTHead().insertRow();
      head.append(document.createElement('td'));
      for (const label of labels) {
        const cell = document.createElement('th');
        cell.scope = 'col';
        const name = document.createElement('span');
        name.textContent = label;
        if (Array.from(label).length === 1) name.className = 'upright';
        cell.append(name);
        head.append(cell);
      }
      const body = table.createTBody();
      labels.forEach((label, i) => {
        const line = body.insertRow();
        const name = document.createElement('th');
        name.scope = 'row';
        name.textContent = label;
        line.append(name);
        line.addEventListener('click', () => {
          row = i;
          update();
        });
        cells.push(
          labels.slice(0, i + 1).map(() => {
            const cell = line.insertCell();
            cell.append(document.createElement('span'));
            return cell;
          }),
        );
      });
    }

    /** The eye tells small shares apart better on the scale of their roots. */
    const shade = (element: HTMLElement, percent: number): void =>
      element.style.setProperty('--p', Math.sqrt(percent / 100).toFixed(3));

    function update(): void {
      const map = shown();
      cells.forEach((line, i) => {
        line.forEach((cell, j) => {
          const percent = map[at(i, j)];
          shade(cell, percent);
          cell.title = `${labels[i]} → ${labels[j]}: ${percent.toFixed(0)}%`;
          cell.firstElementChild!.textContent = `${percent.toFixed(0)}%`;
        });
        line[0].parentElement!.classList.toggle('chosen', i === row);
      });
      buttons.forEach((button, j) => {
        shade(button, j <= row ? map[at(row, j)] : 0);
        button.setAttribute('aria-pressed', String(j === row));
        button.classList.toggle('later', j > row);
      });
      const strongest = labels
        .slice(0, row + 1)
        .map((label, j) => ({ label, percent: map[at(row, j)] }))
        .sort((a, b) => b.percent - a.percent)
        .slice(0, 3);
      reading.textContent = `“${labels[row]}” looks at ${strongest.map(({ label, percent }) => `“${label}” ${percent.toFixed(0)}%`).join(', ')}`;
    }

    /** From the mean of all through every head, layer by layer, and round again. */
    const step = (by: number): void => {
      const [layer, head] = [Number(layerChoice.value), Number(headChoice.value)];
      const place = layer < 0 || head < 0 ? 0 : 1 + layer * nHead + head;
      const next = (place + by + nLayer * nHead + 1) % (nLayer * nHead + 1);
      layerChoice.value = String(next === 0 ? -1 : Math.floor((next - 1) / nHead));
      headChoice.value = String(next === 0 ? -1 : (next - 1) % nHead);
      update();
    };
    document.getElementById('attention-back')!.addEventListener('click', () => step(-1));
    document.getElementById('attention-on')!.addEventListener('click', () => step(1));
    for (const choice of [layerChoice, headChoice]) choice.addEventListener('change', update);
    tokens.addEventListener('keydown', (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (move === undefined) return;
      event.preventDefault();
      row = Math.min(T - 1, Math.max(0, row + move));
      buttons[row].focus();
      update();
    });
    update();
  }
}
