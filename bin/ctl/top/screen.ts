/** The output of `rootlessctl top`: tables, on a terminal as many rows and columns as it has. */
import { MAX_LINE, printable } from '../../../protocol/text/printable-text.js';
import { formatColumns } from '../../common/table.js';
import { cutToWidth } from '../../common/text-width.js';
import { bytesText } from '../flow-text.js';
import type { ConnectionRow, ContainerRow, PortRow, TopReport } from './sample.js';

/** Rows of a table without a terminal. */
const USUAL_ROWS = 100;

export interface Page {
  /** Of the terminal. */
  rows: number;
  columns: number;
}

/**
 * @param title name of the stack
 * @param page size of the terminal; without one, everything up to a limit is shown
 */
export function topText(report: TopReport, title: string, page?: Page): string {
  const { connections, total } = report;
  const head = `${title} - connections: ${connections.in} in, ${connections.out} out - in ${rateText(total.in)}, out ${rateText(total.out)}`;
  const tables = [portTable(report.ports), containerTable(report.containers), connectionTable(report.busiest)].filter(
    (rows) => rows.length > 1,
  );
  // A line for the head, and an empty one before each table.
  const room = page
    ? share(
        tables.map((rows) => rows.length),
        page.rows - 1 - tables.length,
      )
    : tables.map(() => USUAL_ROWS);
  const texts = tables.map((rows, index) => `\n${formatColumns(fitted(rows, room[index] ?? 0), page?.columns)}`);
  const fitting = (line: string) => (page ? cutToWidth(line, page.columns) : line);
  const lines = [fitting(printable(head, MAX_LINE)), ...texts.join('').split('\n').slice(0, -1)];
  if (tables.length === 0) lines.push('', fitting('no port is published, and no container runs'));
  return `${lines.slice(0, page?.rows).join('\n')}\n`;
}

/** The first rows; instead of the last that fits, how many more there are. */
function fitted(rows: readonly string[][], room: number): string[][] {
  if (rows.length <= room || room < 2) return rows.slice(0, room);
  return [...rows.slice(0, room - 1), [`… ${rows.length - room + 1} more`]];
}

/** How many lines each table gets: all that it has where there is room, else as much as the others. */
function share(wanted: readonly number[], room: number): number[] {
  const given = wanted.map(() => 0);
  let left = Math.max(room, 0);
  while (left > 0) {
    const hungry = wanted.flatMap((most, index) => ((given[index] ?? 0) < most ? [index] : []));
    if (hungry.length === 0) break;
    for (const index of hungry.slice(0, left)) given[index] = (given[index] ?? 0) + 1;
    left -= Math.min(left, hungry.length);
  }
  return given;
}

function portTable(rows: readonly PortRow[]): string[][] {
  const header = ['PORT', 'CONTAINER', 'OPEN', 'IN/S', 'OUT/S', 'IN', 'OUT', 'REFUSED', 'STATE'];
  const lines = rows.map(({ port, container, open, bytesIn, bytesOut, refused, state, ...rates }) => [
    port,
    container,
    `${open}`,
    ...[rates.in, rates.out, bytesIn, bytesOut].map(bytesText),
    `${refused}`,
    state,
  ]);
  return [header, ...lines];
}

function containerTable(rows: readonly ContainerRow[]): string[][] {
  const header = ['CONTAINER', 'CPU', 'MEMORY', 'PIDS', 'IN/S', 'OUT/S', 'IN', 'OUT'];
  const lines = rows.map(({ container, cpu, memory, processes, bytesIn, bytesOut, ...rates }) => [
    container,
    cpu === undefined ? '--' : `${cpu.toFixed(1)}%`,
    memory === undefined ? '--' : bytesText(memory),
    processes === undefined ? '--' : `${processes}`,
    bytesText(rates.in),
    bytesText(rates.out),
    bytesIn === undefined ? '--' : bytesText(bytesIn),
    bytesOut === undefined ? '--' : bytesText(bytesOut),
  ]);
  return [header, ...lines];
}

function connectionTable(rows: readonly ConnectionRow[]): string[][] {
  const header = ['CONNECTION', 'FROM', 'TO', 'IN/S', 'OUT/S', 'STATE'];
  const lines = rows.map(({ protocol, direction, from, to, state, ...rates }) => [
    `${protocol} ${direction}`,
    from,
    to,
    bytesText(rates.in),
    bytesText(rates.out),
    state,
  ]);
  return [header, ...lines];
}

function rateText(bytes: number): string {
  return `${bytesText(bytes)}/s`;
}
