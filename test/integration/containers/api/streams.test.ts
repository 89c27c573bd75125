import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../../support/index.js';
import { busyboxRootfs, startContainer } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('the streams of a container', () => {
  const stack = withContainerStack({ keep: true });

  it('end with its exit code, also if it has a terminal', async () => {
    const { id } = await stack.containers.create({
      rootfs: busyboxRootfs(),
      command: ['sh', '-c', 'read x; exit 3'],
      tty: true,
    });
    const stream = await stack.containers.attach(id, { start: true });
    await stream.write(Buffer.from('go\n'));
    assert.equal(await stream.exit, 3);
  });

  it('of a further program with a terminal have its type', async () => {
    const { id } = await startContainer(stack);
    for (const [env, kind] of [
      [[], 'xterm'],
      [['TERM=vt100'], 'vt100'],
    ] as const) {
      const stream = await stack.containers.exec(id, { command: ['sh', '-c', 'echo $TERM'], tty: true, env: [...env] });
      let printed = '';
      stream.listen((_, data) => {
        printed += data.toString();
      });
      assert.deepEqual([await stream.exit, printed], [0, `${kind}\r\n`]);
    }
  });

  it('are joined by a start of what runs already', async () => {
    const { id } = await startContainer(stack, { command: ['cat'], stdin: true });
    const stream = await stack.containers.attach(id, { start: true });
    stream.control({ type: 'stdin-end' });
    assert.equal(await stream.exit, 0);
  });

  it('report why it could not be started', async () => {
    const { id } = await stack.containers.create({ rootfs: busyboxRootfs(), command: ['no-such-program'] });
    const stream = await stack.containers.attach(id, { start: true });
    await assert.rejects(stream.exit, { code: 'command-not-found' });
  });

  it('buffer no more than a limit when the other side does not read', async () => {
    const size = 192 * 1024 * 1024;
    const [agent = 0] = stack.agents();
    const memory = () => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${agent}/status`, 'utf8'))?.[1]) * 1024;
    const before = memory();
    const settled = (what: string) => {
      let [last, times] = [0, 0];
      return waitFor(
        () => {
          const now = memory();
          times = now > last ? 0 : times + 1;
          last = Math.max(now, last);
          return times > 10;
        },
        { what },
      );
    };

    const log = { maxSize: 2 * size, maxFiles: 1 };
    const { id, directory } = await startContainer(stack, { stdin: true, log });
    const line = `2026-11-29T09:14:06.123456789Z stdout F ${'x'.repeat(4095)}\n`;
    const file = openSync(join(directory, 'container.log'), 'w');
    for (let lines = 0; lines < size / 4096; lines += 1024) writeSync(file, line.repeat(1024));
    closeSync(file);
    const logs = await stack.containers.attach(id, { logs: true, follow: false });
    logs.pause();
    await settled('the agent to have sent what it sends');
    assert.ok(memory() - before < size / 2);
    let got = 0;
    logs.listen((_, data) => {
      got += data.length;
    });
    logs.resume();
    await logs.exit;
    assert.equal(got, size);

    const input = await stack.containers.attach(id);
    const piece = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < size; sent += piece.length) void input.write(piece);
    await settled('the agent to have taken what it takes');
    assert.ok(memory() - before < size / 2);
    await stack.containers.remove(id, { force: true });
    input.close();
  });
});
