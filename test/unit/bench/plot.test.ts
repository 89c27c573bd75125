import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CandidateResult, Column } from '../../../bench/model.js';
import { drawCharts, writeCharts } from '../../../bench/report/charts.js';
import { barChart, linearTicks, lineChart, logTicks, wrap } from '../../../bench/report/plot.js';
import { reportRow } from '../../../bench/report/report.js';
import { tempDir } from '../../support/index.js';

/** The numbers of an attribute of all elements of a kind. */
function attributes(svg: string, element: string, name: string): number[] {
  return [...svg.matchAll(new RegExp(`<${element} [^>]*\\b${name}="([^"]+)"`, 'g'))].map(([, value]) => Number(value));
}

describe('a chart', () => {
  it('has round numbers on its axes', () => {
    assert.deepEqual(linearTicks(58), [0, 20, 40, 60]);
    assert.deepEqual(linearTicks(0.5), [0, 0.1, 0.2, 0.3, 0.4, 0.5]);
    assert.deepEqual(linearTicks(0), [0, 1]);
    assert.deepEqual(logTicks(3, 40), [2, 5, 10, 20, 50]);
    assert.deepEqual(logTicks(1, 10_000), [1, 10, 100, 1000, 10_000]);
    assert.deepEqual(logTicks(7, 7), [5, 10]);
  });

  it('has bars as long as their values, and their spans', () => {
    const bar = (label: string, value: number, max = value) => ({
      ...{ label, value, min: value, max, text: `${value} <`, colour: '#000000' },
    });
    const svg = barChart('a & b', [bar('one', 10), bar('two', 20, 40), bar('none', 0)]);
    const [, one = 0, two = 0, none] = attributes(svg, 'rect', 'width');
    assert.equal(two, one * 2);
    assert.equal(none, 0);
    assert.equal(attributes(svg, 'line', 'x1').length, 1);
    assert.match(svg, />a &amp; b</);
    assert.match(svg, />20 &lt;</);
  });

  it('has its title on as many lines as it needs', () => {
    assert.deepEqual(wrap('one two three four', 9), ['one two', 'three', 'four']);
    assert.deepEqual(wrap('incomprehensibilities', 9), ['incomprehensibilities']);
    const height = (title: string) => attributes(barChart(title, []), 'svg', 'height')[0] ?? 0;
    assert.ok(height('many words '.repeat(15)) > height('a word'));
  });

  it('has curves on logarithmic axes', () => {
    const svg = lineChart('growth', { title: 'connections', log: true }, { title: 'ms', log: true }, [
      {
        label: 'ours',
        colour: '#000000',
        points: [
          [1, 1],
          [10, 10],
          [100, 100],
        ],
      },
    ]);
    const [x1 = 0, x2 = 0, x3 = 0] = attributes(svg, 'circle', 'cx');
    const [y1 = 0, y2 = 0, y3 = 0] = attributes(svg, 'circle', 'cy');
    assert.ok(Math.abs(x3 - x2 - (x2 - x1)) < 1, 'steps of ten are not equally wide');
    assert.ok(Math.abs(y1 - y2 - (y2 - y3)) < 1 && y1 > y2, 'steps of ten are not equally high');
    assert.match(svg, />ours</);
  });
});

describe('the charts of a report', () => {
  const rate: Column = { title: 'rate', unit: 'conn/s', decimals: 0 };
  const at = (count: number): Column => ({
    ...rate,
    series: { title: 'one stream', of: 'open connections', at: count },
  });
  const own: CandidateResult = {
    name: 'rootless-run',
    figures: [{ values: { rate: 5, some: 5, many: 4 }, quantiles: { 0: 10, 50: 20, 100: 900 } }, undefined],
  };

  it('are bars, a distribution, and curves', () => {
    const columns = { rate, some: at(1), many: at(1000) };
    const charts = drawCharts(reportRow('row', { title: 'Row', columns }, [own, { name: 'pasta', figures: [] }]));
    assert.deepEqual(
      charts.map(({ name }) => name),
      ['row', 'row-latency', 'row-one-stream-open-connections'],
    );
    for (const { svg } of charts) {
      assert.match(svg, /^<svg [^>]*>[\s\S]*<\/svg>\n$/);
      assert.match(svg, />rootless-run</);
      assert.doesNotMatch(svg, /NaN|Infinity|undefined|pasta/);
    }
  });

  it('are written to a directory, one file each', () => {
    const directory = join(tempDir(), 'charts');
    const columns = { rate, atOnce: { ...rate, title: 'at once', less: true } as const };
    const report = reportRow('row', { title: 'Row', columns }, [
      { ...own, figures: [{ values: { rate: 1, atOnce: 2 } }] },
    ]);
    const files = writeCharts(directory, [report]);
    assert.deepEqual(readdirSync(directory).sort(), ['row-at-once.svg', 'row-rate.svg']);
    assert.match(readFileSync(files[1] ?? '', 'utf8'), /less is better/);
  });
});
