import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { binPath, run } from '../../../../support/index.js';
import { busyboxRootfs, startContainerStack } from '../../../../support/stacks/containers.js';

describe('name files made with a umask that excludes other users', () => {
  const shell = ['sh', '-c', 'umask $0; exec "$@"'];
  for (const umask of ['077', '027']) {
    it(`can be read by every user of a container, whose own umask is the usual one (${umask})`, async () => {
      await using stack = await startContainerStack({ wrapper: [...shell, umask] });
      const script = 'cat /etc/hosts /etc/hostname /etc/resolv.conf; umask; stat -c %a /etc/hosts';
      const run = [
        'run',
        '--rm',
        '-h',
        'box',
        '--user',
        '1000:1000',
        '--dns',
        '192.0.2.1',
        '--rootfs',
        busyboxRootfs(),
      ];
      const text = await stack.must(...run, '--', 'sh', '-c', script);
      assert.match(text, /\tbox (.*\n)*box\nnameserver 10\.4\.0\.1\n0022\n644$/);
      await stack.must('network', 'create', 'n1');
      const list = statSync(join(stack.confDir, 'rootless-net-n1.conflist'));
      assert.equal(list.mode & 0o777, 0o644);
    });

    it(`can be read by every user in a stack, whose programs keep that umask (${umask})`, async () => {
      const drop = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'];
      const script = 'tail -n1 /etc/hosts; cat /etc/resolv.conf; umask';
      const command = [binPath('rootless-run'), '--net=slirp4netns', ...drop, 'sh', '-c', script];
      const { code, stdout, stderr } = await run('sh', [...shell.slice(1), umask, ...command]);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, new RegExp(`^::1 ${hostname()}\nnameserver 10\\.0\\.2\\.3\n(.*\n)*0${umask}\n$`));
    });
  }
});
