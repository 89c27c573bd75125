// The tables of bench/README.md, each between a pair of markers, and written by the run that measured it.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Machine } from '../conditions.js';
import { formatReports } from './markdown.js';
import type { RowReport } from './report.js';

/** How the figures came about. */
export interface Run {
  date: Date;
  machine: Machine;
  versions: Readonly<Record<string, string>>;
  /** The command line. */
  words: readonly string[];
  rounds: number;
  seconds: number;
}

/** Rows with a section of their own; the others share three. */
const ownSections = ['start', 'growth', 'container', 'names'];

function sectionOf(row: string): string {
  if (ownSections.includes(row)) return row;
  if (row.startsWith('overlay')) return 'overlay';
  return row.startsWith('out-') ? 'outbound' : 'traffic';
}

/** Replaces the sections of these reports in a file; returns the sections' names. */
export function writeSections(file: string, reports: readonly RowReport[], run: Run): string[] {
  const names = [...new Set(reports.map(({ name }) => sectionOf(name)))];
  let text = readFileSync(file, 'utf8');
  for (const name of names) {
    const own = reports.filter((report) => sectionOf(report.name) === name);
    text = replaceSection(text, name, `${describeRun(run)}\n\n${formatReports(own)}`);
  }
  writeFileSync(file, text);
  return names;
}

/** @throws {Error} if the text has no such section */
export function replaceSection(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- bench ${name} -->`, `<!-- end of bench ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`There is no section between ${begin} and ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}

/** Date, machine, versions and the command. */
export function describeRun({ date, machine, versions, words, rounds, seconds }: Run): string {
  const { cores, processor, kernel, congestionControl } = machine;
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${date.toISOString().slice(0, 10)}, ${cores} × ${processor}, Linux ${kernel}, ${congestionControl}; ${all.join(', ')}.`,
    `Medians of ${rounds} rounds of ${seconds} s; in brackets the ratio to \`direct\`, or the span of the rounds:`,
    '',
    `    npm run bench -- ${words.map(withoutPath).join(' ')}`,
  ].join('\n');
}

/** `--peer NAME=PATH` without the machine's directories. */
function withoutPath(word: string): string {
  return word.replace(
    /^((?:--peer=)?[a-z][\w-]*=)(.*\/.*)$/,
    (_, name: string, path: string) => `${name}…/${basename(path)}`,
  );
}
