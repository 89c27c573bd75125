import assert from 'node:assert/strict';
import { Refusals } from '../../support/stacks/refusals.js';
import { API_ROWS } from './api-rows.js';
import { CTL_ROWS } from './ctl-rows.js';
import { NET_ROWS } from './net-rows.js';
import type { Row } from './row.js';
import { RUN_ROWS } from './run-rows.js';
import { wordsOf } from './words.js';

/** Makes no line of what is right, so that all that is wrong is seen at once. */
function compare(rows: readonly Row[], found: readonly Row[]): void {
  const different = found.filter((row, index) => String(row) !== String(rows[index]));
  const expected = rows.filter((row, index) => String(row) !== String(found[index]));
  assert.deepEqual(different, expected);
}

describe('invalid input', () => {
  let refusals: Refusals;
  before(async () => {
    refusals = await Refusals.start();
  });
  after(() => refusals[Symbol.asyncDispose]());

  for (const [name, rows] of Object.entries({
    'rootless-run': RUN_ROWS,
    rootlessctl: CTL_ROWS,
    'rootless-net': NET_ROWS,
  })) {
    it(`is refused in one line, with its exit code (${name}, ${rows.length} command lines)`, async () => {
      const found: Row[] = [];
      for (const [tried] of rows) {
        const { code, text } = await refusals.of(wordsOf(tried));
        found.push([tried, code, text]);
      }
      compare(rows, found);
    });
  }

  it(`is refused by the API, with its status (${API_ROWS.length} requests)`, async () => {
    const found: Row[] = [];
    for (const [tried] of API_ROWS) {
      const [, method = '', path = '', body] = /^(\S+) (\S+)(?: (.*))?$/.exec(tried) ?? [];
      const answer = await refusals.request(method, path, body);
      // Newer versions of Node name the line and the column, too.
      found.push([tried, answer.status, answer.body.replace(/ \(line \d+ column \d+\)/, '')]);
    }
    compare(API_ROWS, found);
  });
});
