// Draws charts as SVG, independent of what they show.

export interface Bar {
  label: string;
  value: number;
  /** The span of the rounds, drawn over the bar. */
  min: number;
  max: number;
  /** Text at the end of the bar. */
  text: string;
  colour: string;
}

export interface Line {
  label: string;
  points: readonly (readonly [x: number, y: number])[];
  colour: string;
}

export interface Axis {
  title: string;
  log?: boolean;
}

const width = 760;
const font = 'font-family="system-ui, sans-serif"';
const ink = '#24292f';
const faint = '#d8dee4';

/** Horizontal bars, each with the span of its rounds. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const [left, right, top, step, thickness] = [130, 120, 48, 34, 20];
  const height = top + bars.length * step + 12;
  const scale = linearScale(0, Math.max(...bars.map(({ max }) => max), 0), left, width - right);
  const parts = bars.flatMap(({ label, value, min, max, text: shown, colour }, index) => {
    const y = top + index * step;
    const middle = y + thickness / 2;
    return [
      text([left - 10, middle + 4], label, 'end'),
      rectangle([left, y], scale(value) - left, thickness, colour),
      // The span of the rounds.
      ...(max > min ? [line([scale(min), middle], [scale(max), middle], ink)] : []),
      text([Math.max(scale(value), scale(max)) + 8, middle + 4], shown),
    ];
  });
  return document(height, title, parts);
}

/** Lines with points, and a legend beside them. */
export function lineChart(title: string, x: Axis, y: Axis, lines: readonly Line[]): string {
  const [left, right, top, bottom, height] = [70, 150, 56, 48, 420];
  const points = lines.flatMap((each) => each.points);
  const horizontal = scaleOf(
    x,
    points.map(([value]) => value),
    left,
    width - right,
  );
  const vertical = scaleOf(
    y,
    points.map(([, value]) => value),
    height - bottom,
    top,
  );
  const grid = [
    ...horizontal.ticks.flatMap((tick) => [
      line([horizontal.at(tick), top], [horizontal.at(tick), height - bottom], faint),
      text([horizontal.at(tick), height - bottom + 18], formatTick(tick), 'middle'),
    ]),
    ...vertical.ticks.flatMap((tick) => [
      line([left, vertical.at(tick)], [width - right, vertical.at(tick)], faint),
      text([left - 8, vertical.at(tick) + 4], formatTick(tick), 'end'),
    ]),
    text([(left + width - right) / 2, height - 8], x.title, 'middle'),
    text([left, top - 12], y.title, 'start'),
  ];
  const curves = lines.flatMap(({ label, points: own, colour }, index) => {
    const places = own.map(([px, py]) => [horizontal.at(px), vertical.at(py)] as const);
    const row = top + 8 + index * 20;
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${places.map(([px, py]) => `${round(px)},${round(py)}`).join(' ')}"/>`,
      ...places.map(([px, py]) => `<circle cx="${round(px)}" cy="${round(py)}" r="3" fill="${colour}"/>`),
      rectangle([width - right + 16, row - 5], 14, 4, colour),
      text([width - right + 36, row], label),
    ];
  });
  return document(height, title, [...grid, ...curves]);
}

interface Scale {
  at(value: number): number;
  ticks: readonly number[];
}

function scaleOf({ log }: Axis, values: readonly number[], from: number, to: number): Scale {
  const usable = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  const [min, max] = [Math.min(...usable), Math.max(...usable)];
  if (!log) {
    const ticks = linearTicks(max);
    return { at: linearScale(0, ticks.at(-1) ?? max, from, to), ticks };
  }
  const ticks = logTicks(min, max);
  const [low = min, high = max] = [ticks[0], ticks.at(-1)];
  const scale = linearScale(Math.log10(low), Math.log10(high), from, to);
  return { at: (value) => scale(Math.log10(Math.max(value, low))), ticks };
}

function linearScale(low: number, high: number, from: number, to: number): (value: number) => number {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/** From 0 to a round number that is not below max, in about five steps. */
export function linearTicks(max: number): number[] {
  if (!(max > 0)) return [0, 1];
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough;
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** Powers of ten around the values; twos and fives between them where there are few. */
export function logTicks(min: number, max: number): number[] {
  if (!(min > 0) || !(max >= min)) return [1, 10];
  const first = Math.floor(Math.log10(min));
  const last = Math.max(Math.ceil(Math.log10(max)), first + 1);
  const factors = last - first > 2 ? [1] : [1, 2, 5];
  const all: number[] = [];
  for (let power = first; power <= last; power++) {
    for (const factor of factors) all.push(Number((factor * 10 ** power).toPrecision(12)));
  }
  const below = all.filter((tick) => tick <= min).at(-1) ?? min;
  const above = all.find((tick) => tick >= max && tick > below) ?? max;
  return all.filter((tick) => tick >= below && tick <= above);
}

function formatTick(value: number): string {
  return value >= 1000 ? value.toLocaleString('en') : String(value);
}

function document(height: number, title: string, parts: readonly string[]): string {
  const titles = wrap(title, 84);
  const shift = (titles.length - 1) * 20;
  const size = `viewBox="0 0 ${width} ${height + shift}" width="${width}" height="${height + shift}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size}>`,
    // Also readable on a dark page.
    rectangle([0, 0], width, height + shift, '#ffffff'),
    ...titles.map((line, index) => text([16, 26 + index * 20], line, 'start', 16)),
    `<g transform="translate(0 ${shift})">`,
    ...parts,
    '</g>',
    '</svg>\n',
  ].join('\n');
}

/** Wraps words into lines of at most `length` characters, unless a word is longer. */
export function wrap(content: string, length: number): string[] {
  const lines: string[] = [];
  for (const word of content.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= length) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

type Point = readonly [x: number, y: number];

function text([x, y]: Point, content: string, anchor = 'start', size = 12): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}" ${font} fill="${ink}">${escapeXml(content)}</text>`;
}

function rectangle([x, y]: Point, w: number, h: number, fill: string): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(Math.max(w, 0))}" height="${h}" fill="${fill}"/>`;
}

function line([x1, y1]: Point, [x2, y2]: Point, stroke: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${stroke}"/>`;
}

const round = (value: number) => Math.round(value * 10) / 10;

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
