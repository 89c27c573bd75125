import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkProgram } from '../../../../../child/container/oci/program-check.js';
import { tempDir } from '../../../../support/index.js';

/** A root file system with that file, which may be executed. */
function rootWith(path: string, content: string | Buffer): string {
  const root = tempDir();
  for (const name of ['bin', 'tmp', 'lib64', 'proc']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'bin/sh'), '');
  writeFileSync(join(root, path), content);
  chmodSync(join(root, path), 0o755);
  return root;
}

const run = (root: string, args: string[], options: { cwd?: string; init?: boolean } = {}) =>
  checkProgram(root, { args, env: ['PATH=/sbin:/bin'], cwd: options.cwd ?? '/' }, options);

const failure = (code: string, message: RegExp) => ({ name: 'ContainerCommandError', code, message });
const NO_FORMAT = failure(
  'command-not-executable',
  /neither a binary for this machine nor a script that begins with #!$/,
);

describe("a container's program, before it is executed", () => {
  it('has to begin with #! if it is text', () => {
    const root = rootWith('tmp/job', 'echo hello\n');
    for (const [name, cwd] of [
      ['/tmp/job', '/'],
      ['./job', '/tmp'],
      ['tmp/job', '/'],
    ] as const) {
      assert.throws(() => run(root, [name], { cwd }), NO_FORMAT);
    }
    assert.throws(() => run(rootWith('bin/job', ''), ['job']), NO_FORMAT);
    assert.throws(() => run(root, ['/dev/init', '--', '/tmp/job'], { init: true }), NO_FORMAT);
  });

  it('has to have the interpreter that its first line names', () => {
    const root = rootWith('bin/job', '#! /opt/python -u\n');
    const expected = failure(
      'command-not-found',
      /^cannot execute job in the container: it needs \/opt\/python, which does not exist there$/,
    );
    assert.throws(() => run(root, ['job', 'x']), expected);
    for (const line of ['#!/bin/sh -e', '#!\t/bin/sh', '#!/bin/dash', '#!sh', '#!/proc/self/exe', '#!']) {
      const there = rootWith('bin/job', `${line}\n`);
      symlinkSync('/bin/sh', join(there, 'bin/dash'));
      run(there, ['job']);
    }
  });

  it('has to have the loader that it was built for', () => {
    const root = rootWith('bin/job', '');
    copyFileSync(process.execPath, join(root, 'bin/job'));
    const loader = /\/lib\S*?\/ld-linux[\w-]*\.so\.\d/.exec(readFileSync(process.execPath).toString('latin1', 0, 4096));
    assert.ok(loader, 'node is a dynamic program');
    const expected = failure(
      'command-not-found',
      /^cannot execute job in the container: it needs \/lib\S+, which does not exist there$/,
    );
    assert.throws(() => run(root, ['job']), expected);
    mkdirSync(join(root, loader[0], '..'), { recursive: true });
    writeFileSync(join(root, loader[0]), '');
    run(root, ['job']);
  });

  it('is left to the kernel if it is unknown', () => {
    const root = rootWith('tmp/job', 'echo hello\n');
    chmodSync(join(root, 'tmp/job'), 0o644);
    symlinkSync('loop', join(root, 'tmp/loop'));
    for (const name of ['/tmp/job', '/tmp', '/nosuch', '/tmp/loop', '/proc/self/exe', 'nosuch', '']) run(root, [name]);
  });

  it('is searched where --init would search for it later', () => {
    const root = rootWith('tmp/job', '#!/bin/sh\n');
    const behindInit = (name: string) => () => run(root, ['/dev/init', '--', name], { init: true });
    behindInit('/tmp/job')();
    assert.throws(behindInit('job'), failure('command-not-found', /^command not found in the container: job$/));
    chmodSync(join(root, 'tmp/job'), 0o644);
    assert.throws(
      behindInit('/tmp/job'),
      failure('command-not-executable', /^cannot execute \/tmp\/job in the container: permission denied$/),
    );
  });
});
