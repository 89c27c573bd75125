import assert from 'node:assert/strict';
import { binPath } from '../../../support/paths.js';
import { SERVERS, SITES } from '../../../support/stacks/internet.js';
import { ctlOnHost, startWithNames } from './named-hosts.js';

const KB = 1000;
/** Reads from a server that sends without end; prints how much more than the limit allows came. */
const EXCESS = `
import socket, sys, time
rate, wanted = int(sys.argv[1]), int(sys.argv[2])
start, got = time.monotonic(), 0
with socket.create_connection((sys.argv[3], int(sys.argv[4])), 10) as c:
    while got < wanted:
        got += len(c.recv(65536))
print(got > max(rate // 20, 65536) + rate * (time.monotonic() - start))`;

describe('--limit', () => {
  it('bounds what comes in from outside, and is changed from outside only', async () => {
    await using stack = await startWithNames('--limit=unlimited:200k');
    const exceeds = async (rate: number, wanted: number) => {
      const words = [`${rate}`, `${wanted}`, SITES[4].server, `${SERVERS.source}`];
      return (await stack.enter('python3', '-c', EXCESS, ...words)).stdout.trim();
    };
    assert.equal(await exceeds(200 * KB, 300 * KB), 'False');
    assert.deepEqual((await stack.ctl('limit')).stdout, 'unlimited:200000B/s\n');
    const inside = await stack.enter(
      binPath('rootlessctl'),
      `--socket=${stack.stateDir}/api.sock`,
      'limit',
      'unlimited',
    );
    assert.equal(inside.stderr, 'error: the rate limit can be changed from outside of the stack only\n');
    const onHost = (...words: string[]) => ctlOnHost(stack, 'limit', ...words);
    assert.deepEqual((await onHost('1Mi:2Mi')).stdout, '1048576B/s:2097152B/s\n');
    assert.match((await onHost('fast')).stderr, /^error: Invalid limit "fast" \(limit\): expected RATE/);
    assert.deepEqual((await onHost('unlimited')).stdout, 'unlimited\n');
    // More than the first limit allows.
    assert.equal(await exceeds(200 * KB, 4000 * KB), 'True');
  });
});
