// The picture: host addresses, ports, programs and containers, and where these connect to, in columns from left to right, with a
// line for each pair that belongs together, wider with more bytes per second.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 1170;
const BOX = { width: 240, height: 40, gap: 10 };
const COLUMNS = [0, 310, 620, 930];
const TITLES = ['Host address', 'Port', 'Program or container', 'Connects to'];
const TOP = 30;
/** Boxes of a column; the others become one. */
const MOST_BOXES = 40;
/** Characters that fit into a box. */
const MOST_CHARACTERS = 34;
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function rateText(bytes) {
  let unit = 0;
  let value = bytes;
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${UNITS[unit]}/s`;
}

/** Draws what there is now; rates are those since `before`. Returns the sum of the rates. */
export function draw(svg, { now, before, refusals }) {
  const graph = new Graph();
  const seconds = before ? Math.max(now.time - before.time, 1) / 1000 : 1;
  const rate = (value = 0, earlier = value) => Math.max(0, value - earlier) / seconds;
  addPorts(graph, { now, before, refusals, rate });
  addFlows(graph, { now, before, rate });
  render(svg, graph);
  return graph.totals;
}

class Graph {
  /** By column and name. */
  boxes = COLUMNS.map(() => new Map());
  lines = new Map();
  totals = { in: 0, out: 0 };

  box(column, name, details = {}) {
    const boxes = this.boxes[column];
    const key = boxes.has(name) || boxes.size < MOST_BOXES ? name : 'others';
    const box = boxes.get(key) ?? { name: key, in: 0, out: 0 };
    boxes.set(key, { ...box, ...details, name: key });
    return key;
  }

  count(column, name, rates) {
    const box = this.boxes[column].get(name);
    if (!box) return;
    box.in += rates.in;
    box.out += rates.out;
  }

  /** From a box of that column to one of the next. */
  line(column, [from, to], rates, bad = false) {
    const key = JSON.stringify([column, from, to]);
    const line = this.lines.get(key) ?? { column, from, to, in: 0, out: 0, bad: false };
    this.lines.set(key, { ...line, in: line.in + rates.in, out: line.out + rates.out, bad: line.bad || bad });
  }

  total(rates) {
    this.totals.in += rates.in;
    this.totals.out += rates.out;
  }
}

function addPorts(graph, { now, before, refusals, rate }) {
  const earlier = new Map(before?.ports.map((port) => [port.id, port.counters]));
  const names = new Map(now.containers.map(({ id, name }) => [id, name]));
  const owners = new Map();
  for (const { direction, port, container, program } of now.flows) {
    if (direction === 'in' && !owners.has(port)) owners.set(port, nameOf({ container, program }));
  }
  for (const { id, spec, counters = {}, listener, container } of now.ports) {
    const rates = {
      in: rate(counters.bytesIn, earlier.get(id)?.bytesIn ?? 0),
      out: rate(counters.bytesOut, earlier.get(id)?.bytesOut ?? 0),
    };
    if (!before) rates.in = rates.out = 0;
    const refusal = refusals.get(id);
    const waits = listener !== undefined && listener.state !== 'listening';
    const bad = refusal !== undefined || waits;
    const detail = waits ? listener.reason : refusal?.reason;
    const host = graph.box(0, spec.parentIP || 'all addresses');
    // Several addresses may have the same port.
    const port = graph.box(1, `port ${id}`, {
      label: `${spec.parentPort}/${spec.proto} → ${spec.childPort}`,
      bad,
      detail: detail ?? `${counters.open ?? 0} open`,
    });
    const inside = container === undefined ? owners.get(id) : (names.get(container) ?? container);
    graph.count(0, host, rates);
    graph.count(1, port, rates);
    graph.line(0, [host, port], rates, bad);
    graph.total(rates);
    if (inside === undefined) continue;
    const program = graph.box(2, inside);
    graph.count(2, program, rates);
    graph.line(1, [port, program], rates, bad);
  }
}

function addFlows(graph, { now, before, rate }) {
  const earlier = new Map(before?.flows.map((flow) => [flow.connection, flow]));
  for (const { name } of now.containers) graph.box(2, name);
  for (const flow of now.flows) {
    if (flow.direction !== 'out') continue;
    const then = earlier.get(flow.connection);
    const rates = {
      in: rate(flow.bytesReceived, then?.bytesReceived ?? (before ? 0 : undefined)),
      out: rate(flow.bytesSent, then?.bytesSent ?? (before ? 0 : undefined)),
    };
    const from = graph.box(2, nameOf(flow) ?? 'unknown program');
    const to = graph.box(3, flow.name ?? flow.destination, flow.name === undefined ? {} : { detail: flow.destination });
    graph.count(2, from, rates);
    graph.count(3, to, rates);
    graph.line(2, [from, to], rates);
    graph.total(rates);
  }
}

function nameOf({ container, program }) {
  return container ?? (program && `${program.name} [${program.pid}]`);
}

function render(svg, { boxes, lines }) {
  const tallest = Math.max(1, ...boxes.map((column) => column.size));
  const height = TOP + tallest * (BOX.height + BOX.gap);
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${height}`);
  const places = boxes.map((column) => new Map([...column.keys()].map((name, index) => [name, yOf(index)])));
  const shapes = [...lines.values()].map((line) => lineShape(line, places));
  COLUMNS.forEach((x, column) => {
    if (boxes[column].size > 0) shapes.push(text(TITLES[column], { x, y: 16, class: 'title' }));
    for (const box of boxes[column].values()) shapes.push(boxShape(box, x, places[column].get(box.name)));
  });
  svg.replaceChildren(...shapes);
}

function yOf(index) {
  return TOP + index * (BOX.height + BOX.gap);
}

function lineShape({ column, from, to, bad, ...rates }, places) {
  const bytes = rates.in + rates.out;
  const [x1, x2] = [COLUMNS[column] + BOX.width, COLUMNS[column + 1]];
  const [y1, y2] = [places[column].get(from), places[column + 1].get(to)].map((y) => y + BOX.height / 2);
  const middle = (x1 + x2) / 2;
  return shape('path', {
    d: `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`,
    'stroke-width': bytes === 0 ? 1 : Math.min(12, 1 + Math.log10(1 + bytes)),
    class: bad ? 'bad' : bytes > 0 ? 'busy' : '',
  });
}

function boxShape({ name, label = name, bad, detail, ...rates }, x, y) {
  const group = shape('g', { class: bad ? 'bad' : '' });
  const busy = rates.in + rates.out > 0 ? `in ${rateText(rates.in)}, out ${rateText(rates.out)}` : '';
  const second = bad || busy === '' ? (detail ?? '') : busy;
  const title = shape('title', {});
  title.textContent = [label, detail, busy].filter(Boolean).join('\n');
  group.append(
    title,
    shape('rect', { x, y, width: BOX.width, height: BOX.height, rx: 4 }),
    text(shortened(label), { x: x + 8, y: y + 17 }),
    text(shortened(second), { x: x + 8, y: y + 33, class: 'detail' }),
  );
  return group;
}

function shortened(words) {
  const characters = [...words];
  return characters.length > MOST_CHARACTERS ? `${characters.slice(0, MOST_CHARACTERS - 1).join('')}…` : words;
}

function text(words, attributes) {
  const node = shape('text', attributes);
  node.textContent = words;
  return node;
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
