import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start, startStack, tempDir, waitFor } from '../../support/index.js';
import { startHosts } from '../../support/overlay/hosts.js';

/** Prints what it gets; sends to the client as soon as the file is there. */
const SERVER = `
import os, select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 5080)); print('ready', flush=True)
while True:
    if os.path.exists(sys.argv[2]): s.sendto(b'unasked', (sys.argv[1], 5090))
    if select.select([s], [], [], 0.1)[0]: print('got', s.recv(99).decode(), flush=True)`;
/** Sends numbers, and prints them and what it gets. */
const CLIENT = `
import select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 5090)); n = 0
while True:
    n += 1; s.sendto(b'%d' % n, (sys.argv[1], 5080)); print('sent', n, flush=True)
    if select.select([s], [], [], 0.1)[0]: print('got', s.recv(99).decode(), flush=True)`;

const last = (text: string, word: string) =>
  Number([...text.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].at(-1)?.[1]);

describe('a server and a client that send to each other at the same time', () => {
  it('reach each other: the flow that the client has begun does not stay in the way', async () => {
    await using network = await startHosts(2);
    const [near, far] = network.hosts;
    assert(near && far);
    await using stack = await startStack({
      args: ['--net=builtin'],
      publish: ['0.0.0.0:5080:5080/udp'],
      wrapper: near.wrapper,
    });
    const flag = join(tempDir(), 'send');
    await using server = await stack.inside(['python3', '-c', SERVER, far.ip, flag], { output: /^ready$/m });
    const agent = stack.below('agent').find(({ args }) => args.join(' ').includes('agent'));
    assert(agent);
    // The client's flow waits for the agent, while the server's own datagrams do not need it.
    process.kill(agent.pid, 'SIGSTOP');
    const [program = '', ...words] = [...far.wrapper, 'python3', '-c', CLIENT, near.ip];
    await using client = await start(program, words, { ready: { output: /^sent 3$/m } });
    writeFileSync(flag, '');
    await waitFor(() => client.output().includes('got unasked'), { what: "the server's datagram" });
    process.kill(agent.pid, 'SIGCONT');
    await waitFor(() => /^got 1$/m.test(server.output()), { what: 'what the client had sent first' });
    const then = last(client.output(), 'sent');
    await waitFor(() => last(server.output(), 'got') > then + 30, { what: 'what the client sends now' });
  });
});
