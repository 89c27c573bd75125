import assert from 'node:assert/strict';
import { exposition } from '../../../../parent/observation/metrics/exposition.js';
import { readExposition } from '../../../support/observation/exposition.js';

describe('the text format of metrics', () => {
  it('escapes help texts and labels, and cleans what comes from inside', () => {
    const text = exposition([
      {
        name: 'a_total',
        help: 'A \\ and\na line',
        type: 'counter',
        samples: [
          { labels: { name: 'q"uo\\te\n\u001b[2J', other: '' }, value: 3 },
          { labels: {}, value: 1e21 },
        ],
      },
      { name: 'b', help: 'b', type: 'gauge', samples: [{ labels: {}, value: Number.NaN }] },
      { name: 'c', help: 'c', type: 'gauge', samples: [{ labels: {}, value: Number.POSITIVE_INFINITY }] },
      { name: 'none', help: 'none', type: 'gauge', samples: [] },
    ]);
    assert.equal(
      text,
      '# HELP a_total A \\\\ and\\na line\n# TYPE a_total counter\n' +
        'a_total{name="q\\"uo\\\\te [2J",other=""} 3\na_total 1e+21\n' +
        '# HELP b b\n# TYPE b gauge\nb NaN\n# HELP c c\n# TYPE c gauge\nc +Inf\n',
    );
    assert.deepEqual(readExposition(text).get('a_total')?.samples[0], {
      labels: { name: 'q"uo\\te [2J', other: '' },
      value: 3,
    });
  });

  it('has each series once, also where two have the same labels', () => {
    const samples = [1, 2].map((value) => ({ labels: { rule: 'allow a' }, value }));
    const text = exposition([
      { name: 'a_total', help: 'a', type: 'counter', samples },
      { name: 'b', help: 'b', type: 'gauge', samples },
    ]);
    assert.equal(readExposition(text).get('a_total')?.samples[0]?.value, 3);
    assert.equal(readExposition(text).get('b')?.samples[0]?.value, 2);
  });

  it('is checked by a reader that takes nothing else', () => {
    for (const text of [
      'a 1',
      'a 1\n',
      '# HELP a a\n# TYPE a counter\na 1\n',
      '# HELP a a\n# TYPE a gauge\na x\n',
      '# HELP a a\n# TYPE a gauge\na{b="\\x"} 1\n',
      '# HELP a a\n# TYPE a gauge\na{b="1",b="2"} 1\n',
      '# HELP a a\n# TYPE a gauge\na 1\na 2\n',
      '# HELP a_total a\n# TYPE a_total counter\na_total -1\n',
    ]) {
      assert.throws(() => readExposition(text), Error, text);
    }
  });
});
