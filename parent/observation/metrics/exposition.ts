/**
 * Writes metrics in the text format of Prometheus, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats): `# HELP`, `# TYPE`, then the samples of the metric, one a line; in a help
 * text backslashes and line feeds are escaped, in the value of a label double quotes too. By hand: loading the usual client
 * takes longer than the start of a stack.
 */
import { printable } from '../../errors.js';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface Metric {
  /** Of a counter with the ending `_total`. */
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  samples: readonly Sample[];
}

/** Metrics without samples are left out. Values of labels may come from inside the namespaces, and are cleaned. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => {
      const lines = [...series(samples, type)].map(([labels, value]) => `${name}${labels} ${numberText(value)}\n`);
      return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
    })
    .join('');
}

/** By their labels, as text, which may occur once only: a rule can be given twice, and long names are cut. */
function series(samples: readonly Sample[], type: Metric['type']): Map<string, number> {
  const found = new Map<string, number>();
  for (const { labels, value } of samples) {
    const key = labelsText(labels);
    const before = found.get(key);
    const both = type === 'counter' ? (before ?? 0) + value : Math.max(before ?? value, value);
    found.set(key, both);
  }
  return found;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(printable(value)).replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** As Go's strconv.ParseFloat reads it. */
function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
