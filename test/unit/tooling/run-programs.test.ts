import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { morePackages } from '../../../bench/availability.js';
import { debianPackages, optionalPrograms } from '../../setup/machine/requirements.js';
import { essentialPrograms } from '../../setup/program-directory.js';
import { repoRoot } from '../../support/index.js';
import { filesBelow, programsInScript, programsInScripts, programsInSource } from './run-programs.js';

describe('the programs that tests run', () => {
  // prepare.ts runs what changes the machine, before there are tests.
  const sources = (directory: string) =>
    filesBelow(join(repoRoot, directory), '.ts').filter((file) => !file.endsWith('setup/machine/prepare.ts'));
  const inSources = (directory: string) =>
    sources(directory).flatMap((file) => programsInSource(readFileSync(file, 'utf8')));

  it('are read from sources and scripts', () => {
    const source = `
      // run('comment')
      await run('curl', ['-sS']); must('systemctl', '--user'); stack.enter(['sh', '-c', 'cd /; A=1 dig +short | wc -l']);
      const server = ['nginx', '-e', 'stderr']; stack.run('name'); await start(program, words);`;
    assert.deepEqual(programsInSource(source), ['curl', 'systemctl', 'sh', 'sh', 'nginx', 'dig', 'wc']);
    const script = 'serve() { nc -l; }\n# comment\nif serve; then x=$(pgrep -f y); fi || exec socat - $z';
    assert.deepEqual(programsInScript(script), ['nc', 'pgrep', 'socat']);
  });
  const essential = essentialPrograms();
  if (essential === undefined) return;

  it('are listed, or on every machine', () => {
    const run = new Set([...inSources('test'), ...programsInScripts(join(repoRoot, 'test')), ...inSources('bench')]);
    const known = new Set([
      ...essential,
      ...Object.keys(debianPackages),
      ...optionalPrograms,
      ...Object.keys(morePackages),
    ]);
    assert.deepEqual([...run].filter((name) => !known.has(name)).sort(), []);
  });

  it('are all that is listed', () => {
    const files = [...sources('test'), ...filesBelow(join(repoRoot, 'test'), '.sh')];
    const texts = files.filter((file) => !file.includes('requirements')).map((file) => readFileSync(file, 'utf8'));
    const unused = Object.keys(debianPackages).filter((name) => !texts.some((text) => text.includes(basename(name))));
    assert.deepEqual(unused, []);
  });
});
