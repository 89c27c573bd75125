import assert from 'node:assert/strict';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { errorText, reasonText } from '../../../protocol/errors/error-text.js';
import { FileError, fileErrorOf, onFile } from '../../../protocol/errors/file-error.js';
import { tempDir } from '../../support/index.js';

function thrownBy(task: () => unknown): unknown {
  try {
    task();
  } catch (error) {
    return error;
  }
  assert.fail('nothing was thrown');
}

describe("an error of the system's about a file", () => {
  it('is reported with the operation, the path and the reason', () => {
    const directory = tempDir();
    const file = join(directory, 'file');
    writeFileSync(file, '');
    for (const [task, text] of [
      [() => readFileSync(join(directory, 'no')), `cannot open ${directory}/no: no such file or directory`],
      [
        () => mkdirSync(join(file, 'x'), { recursive: true }),
        `cannot make the directory ${file}/x: a part of the path is not a directory`,
      ],
      [() => mkdirSync(file, { recursive: true }), `cannot make the directory ${file}: it is not a directory`],
      [() => openSync(directory, 'w'), `cannot open ${directory}: it is a directory`],
    ] as const) {
      assert.equal(errorText(thrownBy(task)), text);
    }
  });

  it('names the file if the system does not', async () => {
    const full = (error: unknown) =>
      error instanceof FileError &&
      error.httpStatus === 507 &&
      /^cannot write \/d: no space is left/.test(error.message);
    assert.throws(() => onFile('/d', () => writeFileSync('/dev/full', 'text')), full);
    await assert.rejects(
      onFile('/d', () => writeFile('/dev/full', 'text')),
      full,
    );
    assert.equal(reasonText(thrownBy(() => writeFileSync('/dev/full', 'x'))), 'no space is left on its file system');
  });

  it('is found as the cause of another', () => {
    const cause = thrownBy(() => onFile('/d', () => writeFileSync('/dev/full', 'text')));
    assert.equal(fileErrorOf(new Error('outer', { cause }))?.errno, 'ENOSPC');
    assert.equal(errorText(new Error('outer', { cause })), 'outer');
  });

  it('is not affected by other processes', async () => {
    const refused = await new Promise((resolve) => connect('/no/socket').once('error', resolve));
    assert.equal(fileErrorOf(refused), undefined);
    assert.equal(fileErrorOf(new Error('text')), undefined);
    assert.equal(errorText('text\nmore'), 'text');
    assert.throws(() => onFile('/d', () => assert.fail('a bug')), /^AssertionError/);
  });
});
