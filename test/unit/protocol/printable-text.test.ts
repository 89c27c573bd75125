import assert from 'node:assert/strict';
import { MAX_PART, printable, printableJSON } from '../../../protocol/text/printable-text.js';

describe('untrusted text', () => {
  for (const [what, text, shown] of [
    ['plain text stays as it is', 'web  80->8080/tcp  größe ✓ 日本', 'web  80->8080/tcp  größe ✓ 日本'],
    ['leading blanks stay', '  - DNS: [10.0.2.3]', '  - DNS: [10.0.2.3]'],
    ['line breaks and tabs', 'one\r\ntwo\n\n\tthree\n', 'one two three'],
    ['escape sequences', '\u001b[2J\u001b]0;title\u0007red', ' [2J ]0;title red'],
    ['C1 controls, which terminals take for escape sequences', 'a\u009b31mb\u0085c', 'a 31mb c'],
    ['NUL and DEL', 'a\0b\u007fc', 'a b c'],
    ['what reverses the direction of text', 'gnp.\u202etxt\u2066x\u2069', 'gnp. txt x '.trimEnd()],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'a b c'],
    ['characters without width', 'ro\u200bot\ufeff!', 'ro ot !'],
    ['halves of surrogate pairs', 'a\ud800b', 'a b'],
  ] as const) {
    it(`is cleaned: ${what}`, () => assert.equal(printable(text), shown));
  }

  it('is cut, with a mark that it was', () => {
    assert.equal(printable('x'.repeat(30_000)), `${'x'.repeat(MAX_PART)}…`);
    assert.equal(printable('abcdef', 3), 'abc…');
    assert.equal(printable('abc', 3), 'abc');
  });

  it('takes at most linear time for any input', () => {
    const started = performance.now();
    for (const unit of [' ', '\t', ' \u001b', '\u001b ']) printable(unit.repeat(4_000_000), 1_000_000);
    assert.ok(performance.now() - started < 5_000);
  });

  it('in JSON is escaped, and the value stays the same', () => {
    const value = { name: '\u009b31m\u202e\u2028é', list: ['a\nb'] };
    for (const indent of [undefined, 4]) {
      const text = printableJSON(value, indent);
      assert.deepEqual(JSON.parse(text), value);
      assert.doesNotMatch(text, /[\u0080-\u009f\u202e\u2028]/);
    }
    assert.match(printableJSON(value, 4), /\n {4}"name"/);
  });
});
