import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_RULES, parseEgressFile, readEgressFile } from '../../../../protocol/egress/egress-file.js';
import { formatRule } from '../../../../protocol/egress/rule.js';
import { tempDir } from '../../../support/index.js';

const rules = (text: string) => parseEgressFile(text, 'rules').map(formatRule);

describe('egress files', () => {
  it('have a rule a line, with comments and empty lines', () => {
    const text = '\ufeff# npm\nallow registry.npmjs.org # the registry\r\n\n\t deny   10.0.0.0/8:22\n  #allow *\n';
    assert.deepEqual(rules(text), ['allow registry.npmjs.org', 'deny 10.0.0.0/8:22']);
    assert.deepEqual(rules(''), []);
    assert.deepEqual(rules('allow @none'), ['allow @none']);
  });

  it('are refused with the line', () => {
    const cases: Record<string, string> = {
      'allow a.example\npermit b.example':
        'Invalid line "permit b.example" (rules, line 2): expected "allow RULE" or "deny RULE"',
      allow: 'Invalid line "allow" (rules, line 1): expected "allow RULE" or "deny RULE"',
      'allow a.example b.example':
        'Invalid line "allow a.example b.example" (rules, line 1): expected "allow RULE" or "deny RULE"',
      '\n\nallow a.example:0':
        'Invalid rule "a.example:0" (rules, line 3): expected ports from 1 to 65535, such as :443 or :8000-8099',
      'deny @public':
        'Invalid rule "@public" (rules, line 1): expected a preset to be allowed: what it leaves out is denied',
    };
    for (const [text, message] of Object.entries(cases)) assert.throws(() => rules(text), { message });
  });

  it('are bounded', () => {
    assert.equal(rules('allow a.example\n'.repeat(MAX_RULES)).length, MAX_RULES);
    assert.throws(() => rules('allow a.example\n'.repeat(MAX_RULES + 1)), {
      message: `Invalid egress file "rules": expected at most ${MAX_RULES} rules`,
    });
    const file = join(tempDir(), 'rules');
    writeFileSync(file, '#'.repeat((1 << 20) + 1));
    assert.throws(() => readEgressFile(file), {
      message: `Invalid egress file "${file}": ${file} is larger than 1048576 bytes`,
    });
  });

  it('are read from files, or refused with the reason', () => {
    const directory = tempDir();
    const file = join(directory, 'rules');
    writeFileSync(file, 'allow a.example\n');
    assert.deepEqual(readEgressFile(file).map(formatRule), ['allow a.example']);
    const missing = join(directory, 'none');
    assert.throws(() => readEgressFile(missing), { message: `cannot open ${missing}: no such file or directory` });
    mkdirSync(join(directory, 'sub'));
    assert.throws(() => readEgressFile(join(directory, 'sub')), /directory/);
  });
});
