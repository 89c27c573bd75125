import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { busyboxRootfs, execIn, IDLE, startContainer } from '../../../../support/stacks/containers.js';
import { withAttachments } from './attached.js';

describe('containers on networks', () => {
  const { stack, inspect } = withAttachments();

  describe('with a network of another kind', () => {
    const rootfs = () => ['--rootfs', busyboxRootfs()];
    /** Files that come and go with containers. */
    const stateFiles = () =>
      readdirSync(stack.stateDir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
    const namespaceOf = (pid = 0) => readlinkSync(`/proc/${pid}/ns/net`);

    for (const [kind, shown] of [
      ['none', 'none'],
      ['host', 'host'],
      ['container:target', /^container:[0-9a-f]{12}$/],
      ['ns', /^ns:\/proc\/\d+\/ns\/net$/],
    ] as const) {
      it(`go through run, stop, start, rename and rm without a warning, and leave no file (${kind})`, async () => {
        const target = await startContainer(stack, { name: 'target' });
        const other = await startContainer(stack, { name: 'other', network: { mode: 'none' } });
        const files = stack.files();
        const state = stateFiles();
        const network = kind === 'ns' ? `ns:/proc/${other.pid}/ns/net` : kind;
        const where = ['--net', network, ...rootfs(), '--'];

        assert.equal(await stack.must('run', '--rm', ...where, 'echo', 'hello'), 'hello');
        assert.deepEqual([stack.files(), stateFiles()], [files, state]);

        const id = await stack.must('run', '-d', '--name', 'm', ...where, ...IDLE);
        for (const round of ['first', 'second']) {
          const namespace = namespaceOf((await inspect('m')).pid);
          const namespaces: Record<string, string> = {
            host: stack.netns(),
            'container:target': namespaceOf(target.pid),
            ns: namespaceOf(other.pid),
          };
          if (kind === 'none') {
            assert(!Object.values(namespaces).includes(namespace), round);
            assert.match(await execIn(stack, 'm', 'ip', '-o', 'link'), /^1: lo: <LOOPBACK,UP,[^\n]*\n$/);
          } else assert.equal(namespace, namespaces[kind], round);
          const row = (await stack.must('ps')).split('\n').find((line) => line.startsWith(id.slice(0, 12)));
          assert.match((row ?? '').split(/ {2,}/)[5] ?? '', shown instanceof RegExp ? shown : new RegExp(`^${shown}$`));
          await stack.must('stop', 'm');
          await stack.must('start', 'm');
        }
        await stack.must('rename', 'm', 'n');
        await stack.must('stop', 'n');
        await stack.must('rename', 'n', 'o');
        if (kind === 'container:target') await stack.must('rename', 'target', 'renamed');
        await stack.must('start', 'o');
        await stack.must('stop', 'o');
        await stack.must('rm', 'o');
        const { code, stderr } = await stack.net('rm', 'o');
        assert.deepEqual([code, stderr], [1, 'error: no such container: o\n']);
        if (kind === 'container:target') await stack.must('rename', 'renamed', 'target');
        assert.deepEqual([stack.files(), stateFiles()], [files, state]);
        assert.equal(stack.started.output(), '');
      });
    }

    it('are refused if there is no such network, or an option cannot be combined with it', async () => {
      await startContainer(stack, { name: 'target' });
      await stack.containers.stop('target');
      const files = stack.files();
      for (const [args, message] of [
        [
          ['--net=container:target'],
          'the container target, whose network this one shares, is not running; start it first',
        ],
        [['--net=container:nobody'], 'no such container: nobody'],
        [['--net=ns:/no/such'], 'no network namespace at /no/such'],
        [['--net=ns:/etc/passwd'], /^error: cannot use \/etc\/passwd as a network namespace: .*\n$/],
        [['--net=none', '--net=host'], '--network=none and other networks are mutually exclusive'],
        [['--net=none', '--ip=10.4.0.9'], '--ip and --network=none are mutually exclusive'],
        [
          ['--net=container:target', '--hostname=h'],
          'its own host name (--hostname) cannot be combined with --network=container',
        ],
        [
          ['--net=container:target', '--dns=1.1.1.1'],
          'its own DNS servers (--dns…) cannot be combined with --network=container',
        ],
        [
          ['--net=container:target', '--add-host=a:1.1.1.1'],
          'its own hosts (--add-host) cannot be combined with --network=container',
        ],
      ] as const) {
        const { code, stderr } = await stack.net('run', '-d', ...args, ...rootfs(), '--', ...IDLE);
        assert.equal(code, 125, stderr);
        if (typeof message === 'string') assert.equal(stderr, `error: ${message}\n`);
        else assert.match(stderr, message);
        assert.equal(stderr.split('\n').length, 2);
      }
      assert.deepEqual(stack.files(), files);
    });

    it('cannot be started without the container whose network they share, but can be removed', async () => {
      const { id } = await startContainer(stack, { name: 'target' });
      await startContainer(stack, { name: 'guest', network: { mode: 'container', container: 'target' } });
      await stack.must('rm', '-f', 'target');
      assert.equal((await inspect('guest')).status, 'running');
      await stack.must('stop', 'guest');
      const { code, stderr } = await stack.net('start', 'guest');
      const why = `the container ${id.slice(0, 12)}, whose network this one shares, has been removed; hint: create this one again with another --network`;
      assert.deepEqual([code, stderr], [1, `error: ${why}\n`]);
      await stack.must('rm', 'guest');
    });

    it('cannot be put on a network', async () => {
      await startContainer(stack, { name: 'alone', network: { mode: 'none' } });
      await assert.rejects(stack.containers.connect('bridge', 'alone'), {
        httpStatus: 409,
        message: 'the container alone has no networks of its own (--network=none)',
      });
    });
  });
});
