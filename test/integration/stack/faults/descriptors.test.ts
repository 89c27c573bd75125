import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { echo, openConnection, outcomeOf, startStack, tcpRequest, udpAsk, waitFor } from '../../../support/index.js';
import { agentOf, ECHO } from './processes.js';

describe('when file descriptors run out', () => {
  for (const limit of [256, 128]) {
    it(`with ${limit} of them, a port waits and reports it, the API answers, and every client is served in the end`, async () => {
      const count = limit;
      await using stack = await startStack({
        wrapper: ['prlimit', `--nofile=${limit}:${limit}`],
        publish: [`127.0.0.2:0:${ECHO}`],
      });
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
      const [published] = await stack.published();
      assert.ok(published);
      const { id, port } = published;
      const sockets = await Promise.all(Array.from({ length: count }, () => openConnection('127.0.0.2', port)));
      const failed: string[] = [];
      sockets.forEach((socket, i) => {
        socket.on('error', (error) => failed.push(`${i}: ${error.message}`));
      });
      const answered = new Set<Socket>();
      for (const socket of sockets) {
        socket.once('data', () => answered.add(socket));
        socket.write('hello');
      }
      try {
        const waiting = await waitFor(
          async () => {
            const report = await stack.report(id);
            const isWaiting = report.listener?.state === 'waiting' && report.counters?.open === answered.size;
            return isWaiting && answered.size > 10 ? report : undefined;
          },
          { what: 'the listener to wait' },
        );
        assert.match(waiting.listener?.reason ?? '', /file descriptors/);
        // What the API needs has to be there still, also for what it has not done before.
        const another = stack.publish(`127.0.0.3:0:${ECHO}`);
        if (limit >= 256) await stack.api.removePort((await another).id);
        else await another.catch((error) => assert.match(error.message, /too many open files/));
        const table = await stack.ctl('list-ports');
        assert.match(table.stdout, /waiting: .*file descriptors/);
        assert.equal((await stack.api.info()).childPID, stack.childPid);
        const open = waiting.counters?.open ?? 0;
        assert.ok(open < count, `${open} connections are open`);
        // Those that were served are served on.
        const [first] = answered;
        assert.ok(first);
        assert.equal(await echo(first, 'again'), 'again');

        // Each client that was served disconnects, until all have been.
        await waitFor(
          () => {
            for (const socket of answered) socket.destroy();
            return answered.size === count;
          },
          { what: 'everybody to be served' },
        ).catch((error) => {
          throw new Error(`${answered.size} of ${count} were served; ${failed.join('; ')}`, { cause: error });
        });
        await waitFor(async () => (await stack.report(id)).listener?.state === 'listening', {
          what: 'the listener to listen again',
        });
        await waitFor(async () => (await stack.counters(id)).open === 0, { what: 'all to be closed' });
        assert.deepEqual(failed, []);
        const { opened, refused } = await stack.counters(id);
        assert.deepEqual({ opened, refused }, { opened: count, refused: 0 });
        assert.equal((await tcpRequest('127.0.0.2', port, 'as ever')).toString(), 'as ever');
      } finally {
        for (const socket of sockets) socket.destroy();
      }
    });
  }

  it('UDP clients beyond what fits take the place of those that were quiet for longest', async () => {
    await using stack = await startStack({ wrapper: ['prlimit', '--nofile=256:256'] });
    await using _server = await stack.program('udp-server', 'echo', '127.0.0.1', ECHO);
    const { id, port } = await stack.publish(`127.0.0.2:0:${ECHO}/udp`);
    for (let i = 0; i < 400; i++) assert.equal((await udpAsk('127.0.0.2', port, `${i}`)).toString(), `${i}`);
    const { open, opened, refused } = await stack.counters(id);
    // Two clients may have had the same port, one after the other: one conversation.
    assert.ok(opened > 350 && opened <= 400, `${opened} were opened`);
    assert.equal(refused, 0);
    assert.ok(open < 256, `${open} are open`);
    assert.equal((await stack.api.info()).childPID, stack.childPid);
  });

  it('ports that do not fit are refused in a line, and those that do stay', async () => {
    await using stack = await startStack({ wrapper: ['prlimit', '--nofile=256:256'] });
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { id, port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    const { code, stdout, stderr } = await stack.ctl('add-ports', ...Array(300).fill(`127.0.0.3:0:${ECHO}`));
    assert.equal(code, 1);
    const errors = stderr.split('\n').filter((line) => line.startsWith('error: '));
    assert.equal(errors.length, 1, stderr);
    assert.match(errors[0] ?? '', /too many open files/);
    assert.doesNotMatch(stderr + stack.started.output(), /internal error/);
    const added = stdout.trim().split('\n');
    assert.deepEqual(
      (await stack.published()).map((published) => published.id),
      [id, ...added.map(Number)],
    );
    // There is room for what the API does still, and for connections when some ports are gone.
    assert.equal((await stack.ctl('remove-ports', ...added)).code, 0);
    assert.equal((await tcpRequest('127.0.0.2', port, 'as ever')).toString(), 'as ever');
    assert.ok((await stack.publish(`127.0.0.3:0:${ECHO}`)).id > id);
  });

  it('when the agent has none left, connections wait for it, and the port reports it', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { id, port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', port, 'x');
    const agent = agentOf(stack);
    const limit = async (value: string) => {
      const { code, stderr } = await stack.enter('prlimit', `--pid=${agent}`, `--nofile=${value}`);
      assert.equal(code, 0, stderr);
    };
    // Soft limit: below what it has open, so that the next socket(2) fails.
    await limit('3:');
    const waiting = outcomeOf((await openConnection('127.0.0.2', port)).end('waited'));
    await waitFor(async () => (await stack.report(id)).listener?.state === 'waiting', { what: 'the port to wait' });
    await limit('1024:');
    const { data, error } = await waiting;
    assert.deepEqual([data.toString(), error], ['waited', undefined]);
    assert.equal((await tcpRequest('127.0.0.2', port, 'as ever')).toString(), 'as ever');
  });
});
