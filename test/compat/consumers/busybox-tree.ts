import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../support/index.js';
import { staticBusybox } from '../../support/stacks/busybox.js';

/** A root file system of busybox alone, with a page that a web server in it serves. */
export async function busyboxTree(directory: string, page: string): Promise<void> {
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'www', 'root']) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  copyFileSync(staticBusybox(), join(directory, 'bin/busybox'));
  for (const name of (await run(staticBusybox(), ['--list'])).stdout.split('\n')) {
    if (name !== '' && name !== 'busybox') symlinkSync('busybox', join(directory, 'bin', name));
  }
  writeFileSync(join(directory, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(directory, 'www/index.html'), page);
}
