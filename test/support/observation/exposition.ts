/** A strict reader of Prometheus' text format, version 0.0.4: throws for anything that the format does not allow. */

export interface ReadMetric {
  type: string;
  help: string;
  samples: { labels: Record<string, string>; value: number }[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)/;
const NUMBER = /^(NaN|[+-]?Inf|[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)$/;

export function readExposition(text: string): Map<string, ReadMetric> {
  const metrics = new Map<string, ReadMetric>();
  const fail = (line: string, problem: string): never => {
    throw new Error(`${problem}: ${JSON.stringify(line)}`);
  };
  if (text !== '' && !text.endsWith('\n')) fail(text.slice(-50), 'the last line has no end');
  let current: [string, ReadMetric] | undefined;
  let help: [string, string] | undefined;
  const seen = new Set<string>();
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line);
    if (comment) {
      const [, kind, name = '', rest = ''] = comment;
      if (metrics.has(name)) fail(line, 'a metric in two groups');
      if (kind === 'HELP') {
        if (!/^(?:[^\\]|\\[\\n])*$/.test(rest)) fail(line, 'an invalid escape');
        help = [name, rest];
      } else {
        if (!/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) fail(line, 'an unknown type');
        if ((rest === 'counter') !== name.endsWith('_total')) fail(line, 'counters, and only they, end with _total');
        if (help?.[0] !== name) fail(line, 'a type without a help before it');
        current = [name, { type: rest, help: help?.[1] ?? '', samples: [] }];
        metrics.set(...current);
      }
      continue;
    }
    const sample = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`).exec(line);
    if (!sample) return fail(line, 'neither a comment nor a sample');
    const [, name = '', labels = '', value = ''] = sample;
    if (current?.[0] !== name) return fail(line, 'a sample outside of its group');
    if (!NUMBER.test(value)) fail(line, 'not a number');
    const entry = {
      labels: readLabels(labels, (problem) => fail(line, problem)),
      value: Number(value.replace('Inf', 'Infinity')),
    };
    const key = JSON.stringify([name, Object.entries(entry.labels).sort()]);
    if (seen.has(key)) fail(line, 'the same series twice');
    seen.add(key);
    if (current[1].type === 'counter' && !(entry.value >= 0)) fail(line, 'a counter below 0');
    current[1].samples.push(entry);
  }
  return metrics;
}

function readLabels(text: string, fail: (problem: string) => never): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== ''; ) {
    const match = LABEL.exec(rest);
    if (!match) return fail('invalid labels');
    const [whole, name = '', value = ''] = match;
    if (Object.hasOwn(labels, name)) fail('a label twice');
    labels[name] = value.replaceAll(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : String(character)));
    rest = rest.slice(whole.length);
  }
  return labels;
}
