import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfDir } from '../../../child/container/network/cni/executor/conflist.js';
import { IrregularFileError, readRegularFile } from '../../../protocol/system/regular-file.js';

describe('a file at a path that a user chose', () => {
  let directory: string;
  const path = (name: string) => join(directory, name);
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'files-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  it('is read as a whole, by a link too, and if its size is reported as 0', () => {
    const text = 'é'.repeat(100_000);
    writeFileSync(path('plain'), text);
    symlinkSync('plain', path('link'));
    assert.equal(readRegularFile(path('plain')), text);
    assert.equal(readRegularFile(path('link')), text);
    assert.match(readRegularFile('/proc/self/status'), /^Name:/);
  });

  it('is refused where reading would not end: a FIFO, a device, a file of gigabytes', () => {
    execFileSync('mkfifo', [path('fifo')]);
    writeFileSync(path('large'), '');
    truncateSync(path('large'), 2 ** 33);
    for (const file of [path('fifo'), '/dev/zero', path('large')]) {
      assert.throws(() => readRegularFile(file), IrregularFileError, file);
    }
  });

  it('fails as other reads do if it is missing, or a directory', () => {
    assert.throws(() => readRegularFile(path('missing')), { code: 'ENOENT' });
    assert.throws(() => readRegularFile(directory), { code: 'EISDIR' });
  });

  it('that is a FIFO among network configurations is skipped and reported, and the others are read', async () => {
    const dir = mkdtempSync(join(directory, 'net.d-'));
    execFileSync('mkfifo', [join(dir, '10-pipe.conflist')]);
    const list = { cniVersion: '1.0.0', name: 'good', plugins: [{ type: 'bridge' }] };
    writeFileSync(join(dir, '20-good.conflist'), JSON.stringify(list));
    const { networks, problems } = await readConfDir([dir]);
    assert.deepEqual(
      networks.map(({ list: { name } }) => name),
      ['good'],
    );
    assert.deepEqual(
      problems.map(({ what }) => what),
      [`${join(dir, '10-pipe.conflist')} is not a regular file`],
    );
  });
});
