// The charts of a report.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeName, ownName } from '../candidates/candidate.js';
import { barChart, type Line, lineChart } from './plot.js';
import type { RowReport } from './report.js';
import { seriesOf } from './table.js';

const peerColours = ['#3d5a80', '#e09f3e', '#7b5ea7', '#b5542c', '#2a9d8f', '#8d6e63'];

type ColourOf = (name: string) => string;

/** A candidate has the same colour in all charts of these reports. */
function makeColours(reports: readonly RowReport[]): ColourOf {
  const peers = reports.flatMap(({ candidates }) => candidates.filter(({ peer }) => peer).map(({ name }) => name));
  const colours = new Map([...new Set(peers)].map((name, index) => [name, peerColours[index % peerColours.length]]));
  return (name) => {
    if (name === ownName) return '#0a7d4f';
    if (name === beforeName) return '#86c5a9';
    return colours.get(name) ?? '#9aa0a6';
  };
}

/** Writes the charts to a directory; returns their paths. */
export function writeCharts(directory: string, reports: readonly RowReport[]): string[] {
  mkdirSync(directory, { recursive: true });
  const colourOf = makeColours(reports);
  return reports
    .flatMap((report) => drawCharts(report, colourOf))
    .map(({ name, svg }) => {
      const file = join(directory, `${name}.svg`);
      writeFileSync(file, svg);
      return file;
    });
}

export interface Chart {
  /** File name without extension. */
  name: string;
  svg: string;
}

export function drawCharts(report: RowReport, colourOf: ColourOf = makeColours([report])): Chart[] {
  return [drawBars, drawSpread, drawSeries].flatMap((draw) => draw(report, colourOf));
}

/** One chart for each column that is not shown beside another. */
function drawBars({ name, title, columns, candidates: all }: RowReport, colourOf: ColourOf): Chart[] {
  const main = columns.filter((column) => !column.beside && !column.series);
  return main.flatMap((column) => {
    const bars = all.flatMap(({ name: label, cells }) => {
      const cell = cells[column.name];
      if (cell === undefined) return [];
      const shown = `${cell.median.toFixed(column.decimals)} ${column.unit}`;
      return [{ label, value: cell.median, min: cell.min, max: cell.max, text: shown, colour: colourOf(label) }];
    });
    if (bars.length === 0) return [];
    const quantity = main.length > 1 ? `: ${column.title}` : '';
    const better = column.less ? ' (less is better)' : '';
    const file = main.length > 1 ? `${name}-${slug(column.name)}` : name;
    return [{ name: file, svg: barChart(`${title}${quantity}${better}`, bars) }];
  });
}

/** The distribution of latencies. */
function drawSpread({ name, title, candidates: all }: RowReport, colourOf: ColourOf): Chart[] {
  const lines = all.flatMap(({ name: label, spread }): Line[] => {
    if (spread === undefined) return [];
    const points = Object.entries(spread).map(([percent, time]) => [time, Number(percent)] as const);
    return [{ label, colour: colourOf(label), points: points.sort(([, a], [, b]) => a - b) }];
  });
  if (lines.length === 0) return [];
  const svg = lineChart(title, { title: 'µs', log: true }, { title: '% of all within this time' }, lines);
  return [{ name: `${name}-latency`, svg }];
}

function drawSeries(report: RowReport, colourOf: ColourOf): Chart[] {
  return seriesOf(report).flatMap(({ title, of, unit, less, points }) => {
    const lines = report.candidates.flatMap(({ name: label, cells }): Line[] => {
      const known = points.flatMap(({ name, at }) => {
        const median = cells[name]?.median;
        return median === undefined ? [] : [[at, median] as const];
      });
      return known.length === 0 ? [] : [{ label, colour: colourOf(label), points: known }];
    });
    if (lines.length === 0) return [];
    const better = less ? ' (less is better)' : '';
    const svg = lineChart(`${title}, by ${of}${better}`, { title: of, log: true }, { title: unit, log: true }, lines);
    return [{ name: `${report.name}-${slug(title)}-${slug(of)}`, svg }];
  });
}

function slug(text: string): string {
  return text
    .replaceAll(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}
