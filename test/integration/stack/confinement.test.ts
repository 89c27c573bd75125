// What the processes of a stack may still do once it is set up.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { echo, openConnection, startStack, tcpRequest, tempDir, waitFor } from '../../support/index.js';

/** A field of /proc/PID/status. */
function statusField(path: string, field: string): string | undefined {
  return new RegExp(`^${field}:\\s+(\\S+)`, 'm').exec(readFileSync(join(path, 'status'), 'utf8'))?.[1];
}

function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => `/proc/${pid}/task/${tid}`);
}

describe('once the stack is set up', () => {
  it('every thread of rootless-run has no new privileges and a filter, and ports continue working', async () => {
    await using stack = await startStack({ publish: ['127.0.0.2:0:7002'] });
    const { pid } = stack.started;
    const confined = () =>
      threadsOf(pid).every(
        (thread) => statusField(thread, 'NoNewPrivs') === '1' && statusField(thread, 'Seccomp') === '2',
      );
    await waitFor(confined, { what: 'all threads to be confined' });
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 7002);
    const [first] = await stack.published();
    assert.ok(first);
    const held = await openConnection('127.0.0.2', first.port);
    assert.equal(await echo(held, 'x'.repeat(300_000)), 'x'.repeat(300_000));
    held.destroy();
    // What is added now, too.
    const { port, id } = await stack.publish('127.0.0.3:0:7002');
    assert.equal((await tcpRequest('127.0.0.3', port, 'more')).toString(), 'more');
    await stack.api.removePort(id);
    assert.ok(confined());
  });

  it('programs inside are not concerned: setuid programs get their rights', async () => {
    await using stack = await startStack();
    const command = stack.below('infinity').find(({ comm }) => comm === 'sleep');
    assert.ok(command);
    assert.equal(statusField(`/proc/${command.pid}`, 'NoNewPrivs'), '0');
    assert.equal(statusField(`/proc/${command.pid}`, 'Seccomp'), '0');
  });

  it('slirp4netns is in its own sandbox, under its own filter', async () => {
    await using stack = await startStack({ args: ['--net=slirp4netns'] });
    const [helper] = stack.below('tap0');
    assert.ok(helper);
    assert.ok(
      helper.args.includes('--enable-sandbox') && helper.args.includes('--enable-seccomp'),
      helper.args.join(' '),
    );
    await waitFor(() => statusField(`/proc/${helper.pid}`, 'Seccomp') === '2', { what: 'its filter' });
  });

  it('slirp4netns runs without them if they are unavailable, and a line reports it', async () => {
    const directory = tempDir();
    const fake = join(directory, 'slirp4netns');
    const script = `#!/bin/sh
case "$*" in
  --help) exec slirp4netns --help ;;
  *--enable-sandbox*) echo "cannot pivot_root: Permission denied" >&2; exit 1 ;;
esac
exec slirp4netns "$@"
`;
    writeFileSync(fake, script, { mode: 0o755 });
    await using stack = await startStack({ args: ['--net=slirp4netns', `--slirp4netns-binary=${fake}`] });
    assert.match(
      stack.started.output(),
      /^rootless-run: warning: slirp4netns runs without --enable-sandbox and --enable-seccomp: slirp4netns failed: cannot pivot_root: Permission denied; [^\n]*\n$/,
    );
    const { stdout } = await stack.enter('ip', '-4', 'route', 'show', 'default');
    assert.match(stdout, /default via 10\.0\.2\.2 dev tap0/);
  });
});
