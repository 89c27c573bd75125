import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ResolvConfWatch } from '../../../../parent/network/host/resolv-conf-watch.js';
import { tempDir, waitFor } from '../../../support/index.js';

describe("the watch for the host's resolv.conf", () => {
  it('notices any change to the file, one after the other', async () => {
    const directory = tempDir();
    const [file, other] = [join(directory, 'etc', 'resolv.conf'), join(directory, 'run', 'resolv.conf')];
    for (const name of ['etc', 'run']) mkdirSync(join(directory, name));
    writeFileSync(file, 'nameserver 192.0.2.1\n');
    let calls = 0;
    const watch = new ResolvConfWatch(() => calls++, [file, join(directory, 'missing', 'resolv.conf')]);
    const replace = (path: string, text: string) => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    try {
      for (const [index, change] of [
        () => appendFileSync(file, 'search a.test\n'),
        () => replace(file, 'nameserver 192.0.2.2\n'),
        () => appendFileSync(file, 'search b.test\n'),
        () => unlinkSync(file),
        () => writeFileSync(file, 'nameserver 192.0.2.3\n'),
        () => {
          writeFileSync(other, 'nameserver 192.0.2.4\n');
          symlinkSync('../run/resolv.conf', `${file}.new`);
          renameSync(`${file}.new`, file);
        },
        () => replace(other, 'nameserver 192.0.2.5\n'),
        () => appendFileSync(other, 'search c.test\n'),
        () => rmSync(other),
      ].entries()) {
        change();
        await waitFor(() => calls === index + 1, { what: `change ${index}` });
      }
    } finally {
      watch.close();
    }
  });
});
