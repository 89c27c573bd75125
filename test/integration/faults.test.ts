import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import {
  accepts,
  echo,
  isAlive,
  openConnection,
  outcomeOf,
  type ProcessInfo,
  processInfo,
  processTree,
  programPath,
  type RunningStack,
  startStack,
  tcpOutcome,
  tcpRequest,
  tempDir,
  udpAsk,
  waitFor,
} from '../support/index.js';

const ECHO = 7002;

/** The one process below rootless-run with that in its command line. */
function only(stack: RunningStack, text: string): ProcessInfo {
  const [found, ...more] = stack.below(text);
  assert.ok(found && more.length === 0, `${text}: ${more.length + (found ? 1 : 0)} processes`);
  return found;
}

const agentOf = (stack: RunningStack) => only(stack, 'child/agent.js').pid;

/** Waits until none of the processes is there any more. */
async function gone(processes: readonly ProcessInfo[]): Promise<void> {
  const left = () => processes.filter(({ pid, comm }) => isAlive(pid) && processInfo(pid)?.comm === comm);
  await waitFor(() => left().length === 0, { what: 'everything to be gone' }).catch((error) => {
    throw new Error(`left: ${left().map(({ pid, args }) => `${pid} ${args.join(' ')}`)}`, { cause: error });
  });
}

/** Stops a process so that it answers nothing any more. */
async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await waitFor(() => processInfo(pid)?.state === 'T', { what: 'the process to be stopped' });
}

describe('when the agent is killed', () => {
  it('connections go on, and new ones work again as soon as another one is there', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    await using _udpServer = await stack.program('udp-server', 'echo', '127.0.0.1', ECHO);
    const { port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    const udp = await stack.publish(`127.0.0.2:0:${ECHO}/udp`);
    const held = await openConnection('127.0.0.2', port);
    assert.equal(await echo(held, 'before'), 'before');

    // Each time anew, and not only the first time.
    for (let time = 1; time <= 3; time++) {
      const agent = agentOf(stack);
      process.kill(agent, 'SIGKILL');
      // It waits for the next agent.
      assert.equal((await tcpRequest('127.0.0.2', port, 'meanwhile')).toString(), 'meanwhile');
      assert.equal((await udpAsk('127.0.0.2', udp.port, 'datagram')).toString(), 'datagram');
      assert.equal(await echo(held, `still here ${time}`), `still here ${time}`);
      assert.notEqual(agentOf(stack), agent);
      const lines = stack.started.output().split('\n').filter(Boolean);
      assert.equal(lines.length, time, stack.started.output());
      assert.match(lines.at(-1) ?? '', /^rootless-run: warning: the agent was lost \(.+\); starting another one$/);
    }
    held.destroy();
  });

  it('nothing is lost of many connections that are being made', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { port, id } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', port, 'x');
    const agent = agentOf(stack);
    await freeze(agent);
    // All of these wait for it: more than may be under way at once.
    const requests = Array.from({ length: 800 }, (_, i) => tcpRequest('127.0.0.2', port, `${i}`));
    process.kill(agent, 'SIGKILL');
    const answers = await Promise.all(requests);
    assert.deepEqual(
      answers.map(String),
      answers.map((_, i) => `${i}`),
    );
    assert.equal((await stack.counters(id)).refused, 0);
  });

  it('the events say so', async () => {
    await using stack = await startStack();
    const { id } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    const abort = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const event of stack.api.events({ signal: abort.signal })) {
        seen.push(event.type === 'driver-state' ? `${event.driver} ${event.state}` : event.type);
      }
    })();
    // Nothing says that the stream is there but what comes through it.
    await waitFor(async () => {
      await stack.api.removePort((await stack.publish(`127.0.0.3:0:${ECHO}`)).id);
      return seen.length > 0;
    });
    process.kill(agentOf(stack), 'SIGKILL');
    await waitFor(() => seen.includes('builtin lost'), { what: 'the loss' });
    await waitFor(() => seen.slice(seen.indexOf('builtin lost')).includes('builtin ready'), { what: 'the next agent' });
    assert.equal((await stack.report(id)).listener?.state, 'listening');
    abort.abort();
    await following;
  });

  it('a port can be removed and added while there is none', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const first = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', first.port, 'x');
    const agent = agentOf(stack);
    await freeze(agent);
    const waiting = tcpOutcome('127.0.0.2', first.port, 'x');
    const second = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await stack.api.removePort(first.id);
    assert.deepEqual(await waiting, { data: Buffer.alloc(0), ended: false, error: 'ECONNRESET' });
    process.kill(agent, 'SIGKILL');
    assert.equal((await tcpRequest('127.0.0.2', second.port, 'y')).toString(), 'y');
  });
});

describe('when rootless-run is killed', () => {
  const networks = [
    ['--net=none'],
    ['--net=slirp4netns'],
    ['--net=pasta'],
    ['--net=none', '--pidns'],
    ['--net=slirp4netns', '--detach-netns'],
    ['--net=pasta', '--detach-netns', '--pidns'],
  ];
  for (const args of networks) {
    it(`with SIGKILL nothing is left of it, daemons included (${args.join(' ')})`, async () => {
      const file = join(tempDir(), 'pid');
      const script = `${process.execPath} ${programPath('daemon')} ${file} & nohup sleep 1000 > /dev/null 2>&1 & trap '' TERM HUP; while :; do sleep 1; done`;
      await using stack = await startStack({ args, command: ['sh', '-c', script] });
      await stack.publish('127.0.0.2:0:80');
      await waitFor(() => existsSync(file) && readFileSync(file, 'utf8'), { what: 'the daemon' });
      await waitFor(() => stack.below('child/agent.js').length === 1, { what: 'the agent' });
      const processes = processTree(stack.started.pid);
      assert.ok(processes.some(({ comm }) => comm.startsWith('launcher')));
      // A session of its own, and a parent that is gone: the launcher has it.
      const daemon = processes.find(({ args: words }) => words.at(-1) === '2');
      assert.ok(daemon, 'the daemon is not below rootless-run');
      const network = /slirp4netns|pasta/.exec(args.join())?.[0];
      if (network) assert.ok(processes.some(({ args: words }) => words[0]?.includes(network)));

      process.kill(stack.started.pid, 'SIGKILL');
      await gone(processes);
    });
  }

  it('with SIGKILL its ports are free, and its state directory can be used again', async () => {
    const first = await startStack({ publish: ['127.0.0.2:0:80'] });
    const [published] = await first.published();
    assert.ok(published);
    const processes = processTree(first.started.pid);
    process.kill(first.started.pid, 'SIGKILL');
    await gone(processes);
    assert.ok(existsSync(join(first.stateDir, 'child_pid')));
    await using second = await startStack({
      stateDir: first.stateDir,
      publish: [`127.0.0.2:${published.port}:80`],
    });
    assert.equal(second.stateDir, first.stateDir);
    assert.notEqual(second.childPid, first.childPid);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`with ${signal} the command gets it, and everything is gone with the command`, async () => {
      const file = join(tempDir(), 'pid');
      const script = `${process.execPath} ${programPath('daemon')} ${file} & trap 'exit 7' TERM INT HUP; while :; do sleep 0.1; done`;
      await using stack = await startStack({ publish: ['127.0.0.2:0:80'], command: ['sh', '-c', script] });
      await waitFor(() => existsSync(file) && readFileSync(file, 'utf8'), { what: 'the daemon' });
      const [published] = await stack.published();
      const processes = processTree(stack.started.pid);
      const { code } = await stack.started.stop(signal);
      assert.equal(code, 7);
      await gone(processes);
      assert.equal(existsSync(stack.stateDir), false);
      assert.equal(await accepts('127.0.0.2', published?.port ?? 0), false);
    });
  }
});

describe('when the command is killed', () => {
  it('with SIGKILL rootless-run says so, ends with 255, and nothing is left', async () => {
    await using stack = await startStack({ publish: ['127.0.0.2:0:80'], command: ['sleep', '1000'] });
    const target = await waitFor(() => stack.below('sleep 1000').find(({ comm }) => comm === 'sleep'));
    const processes = processTree(stack.started.pid);
    process.kill(target.pid, 'SIGKILL');
    const { code } = await stack.started.ended;
    assert.equal(code, 255);
    assert.match(stack.started.output(), /^rootless-run: error: sleep was ended by SIGKILL$/m);
    await gone(processes);
    assert.equal(existsSync(stack.stateDir), false);
  });
});

describe('when a port inside is one that the kernel chooses for clients', () => {
  it('no connection is made to itself where no server listens', async () => {
    await using stack = await startStack();
    const range = '/proc/sys/net/ipv4/ip_local_port_range';
    assert.equal((await stack.enter('sh', '-c', `echo 7002 7003 > ${range}`)).code, 0);
    const { port, id } = await stack.publish('127.0.0.2:0:7002');
    for (let i = 0; i < 10; i++) {
      const { data, error } = await tcpOutcome('127.0.0.2', port, 'to myself', { end: false });
      assert.deepEqual([data.toString(), error], ['', 'ECONNRESET']);
    }
    const { open, refused } = await stack.counters(id);
    assert.deepEqual({ open, refused }, { open: 0, refused: 10 });
  });
});

describe('when the launcher is killed', () => {
  for (const args of [['--net=none'], ['--net=slirp4netns'], ['--net=none', '--pidns']]) {
    it(`with SIGKILL rootless-run says so and ends, and nothing is left (${args.join(' ')})`, async () => {
      const file = join(tempDir(), 'pid');
      const script = `${process.execPath} ${programPath('daemon')} ${file} & while :; do sleep 1; done`;
      await using stack = await startStack({ args, publish: ['127.0.0.2:0:80'], command: ['sh', '-c', script] });
      await waitFor(() => existsSync(file) && readFileSync(file, 'utf8'), { what: 'the daemon' });
      const processes = processTree(stack.started.pid);
      process.kill(stack.childPid, 'SIGKILL');
      const { code } = await stack.started.ended;
      assert.notEqual(code, 0);
      assert.match(stack.started.output(), /^rootless-run: error: the namespaces were ended from outside$/m);
      await gone(processes);
      assert.equal(existsSync(stack.stateDir), false);
    });
  }
});

describe('when file descriptors run out', () => {
  for (const limit of [256, 128]) {
    it(`with ${limit} of them, a port waits and says so, the API answers, and everybody is served in the end`, async () => {
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

        // Whoever is served leaves, until all have been.
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

  it('where the agent has none left, connections wait for it, and the port says so', async () => {
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
