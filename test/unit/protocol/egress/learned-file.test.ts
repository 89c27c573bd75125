import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_RULES, readEgressFile } from '../../../../protocol/egress/egress-file.js';
import { parseRule } from '../../../../protocol/egress/grammar.js';
import { LearnedFile } from '../../../../protocol/egress/learned-file.js';
import { formatRule } from '../../../../protocol/egress/rule.js';
import { tempDir } from '../../../support/index.js';

const allow = (text: string) => parseRule('allow', text, 'test');
const rulesIn = (path: string) => readEgressFile(path).map(formatRule);

describe('the file that --learn writes', () => {
  it('is an egress file with its rules sorted, each once', () => {
    const path = join(tempDir(), 'rules');
    LearnedFile.at(path).write([allow('tcp:b.test:443'), allow('tcp:a.test:443'), allow('tcp:b.test:443')]);
    assert.deepEqual(rulesIn(path), ['allow tcp:a.test:443', 'allow tcp:b.test:443']);
    assert.match(
      readFileSync(path, 'utf8'),
      /^# What .*\n# To allow this, .* --egress-file \S+rules -- COMMAND\nallow /,
    );
  });

  it('allows nothing where nothing was needed', () => {
    const path = join(tempDir(), 'rules');
    LearnedFile.at(path).write([]);
    assert.deepEqual(rulesIn(path), ['allow @none']);
    LearnedFile.at(path).write([allow('a.test')]);
    assert.deepEqual(rulesIn(path), ['allow a.test']);
  });

  it('keeps earlier rules, its mode, and a link to it', () => {
    const directory = tempDir();
    const [path, link] = [join(directory, 'rules'), join(directory, 'link')];
    writeFileSync(path, '# mine\nallow z.test\n');
    chmodSync(path, 0o640);
    symlinkSync('rules', link);
    LearnedFile.at(link).write([allow('a.test')]);
    assert.deepEqual(rulesIn(path), ['allow a.test', 'allow z.test']);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(directory).sort(), ['link', 'rules']);
  });

  it('reports that there was more', () => {
    const path = join(tempDir(), 'rules');
    const many = Array.from({ length: MAX_RULES + 5 }, (_, i) => allow(`10.0.${i >> 8}.${i & 255}`));
    LearnedFile.at(path).write(many, { full: true });
    assert.equal(rulesIn(path).length, MAX_RULES);
    assert.match(readFileSync(path, 'utf8'), /^# INCOMPLETE: /m);
  });

  it('has to be a path that can be written, and no other file', () => {
    const directory = tempDir();
    const other = join(directory, 'other');
    writeFileSync(other, 'anything else\n');
    mkdirSync(join(directory, 'dir'));
    const cases: Record<string, RegExp> = {
      '': /^invalid --learn "": it is empty$/,
      [join(directory, 'missing/rules')]: /^invalid --learn ".*rules": there is no directory .*missing$/,
      [other]: /^invalid --learn ".*other": it exists, and is not an egress file$/,
      [join(directory, 'dir')]: /^invalid --learn ".*dir": /,
      '/dev/null': /^invalid --learn "\/dev\/null": \/dev\/null is not a regular file$/,
      '/proc/rules': /^invalid --learn "\/proc\/rules": /,
    };
    for (const [path, message] of Object.entries(cases)) assert.throws(() => LearnedFile.at(path), { message });
    assert.equal(readFileSync(other, 'utf8'), 'anything else\n');
    assert.deepEqual(readdirSync(directory).sort(), ['dir', 'other']);
  });
});
