import assert from 'node:assert/strict';
import { formatColumns, formatTable } from '../../../../bin/common/table.js';
import { textWidth } from '../../../../bin/common/text-width.js';
import { isColoured } from '../../../../parent/log/colours.js';

describe('tables', () => {
  it('are aligned by columns of the terminal', () => {
    const widths: [text: string, width: number][] = [
      ['abc', 3],
      ['äöü', 3],
      ['日本', 4],
      ['ｱｲ', 2],
      ['Ａ', 2],
      ['한국', 4],
      ['🦦', 2],
      ['e\u0301', 1],
      ['…', 1],
    ];
    for (const [text, width] of widths) assert.equal(textWidth(text), width, text);
    assert.equal(
      formatColumns([
        ['NAME', 'ID'],
        ['日本', '1'],
        ['e\u0301', '2'],
      ]),
      'NAME      ID\n日本      1\ne\u0301         2\n',
    );
  });

  it('have nothing of control characters, and no rows where there are none', () => {
    assert.equal(formatTable([['a\x1b[1mb\u202ec', 'd']]), 'a [1mb c    d    \n');
    assert.equal(formatTable([]), '');
  });
});

describe('colours', () => {
  it('are those of a terminal, unless the environment requests otherwise', () => {
    const terminal = { isTTY: true };
    assert.equal(isColoured(terminal, {}), true);
    assert.equal(isColoured({}, {}), false);
    assert.equal(isColoured(terminal, { NO_COLOR: '1' }), false);
    assert.equal(isColoured(terminal, { NO_COLOR: '' }), true);
    assert.equal(isColoured(terminal, { TERM: 'dumb' }), false);
    assert.equal(isColoured({}, { FORCE_COLOR: '1', NO_COLOR: '1' }), true);
    assert.equal(isColoured({}, { FORCE_COLOR: '' }), true);
    assert.equal(isColoured(terminal, { FORCE_COLOR: '0' }), false);
  });
});
