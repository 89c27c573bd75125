import assert from 'node:assert/strict';
import { tempDir } from '../../../support/index.js';
import { binPath } from '../../../support/paths.js';
import { busyboxRootfs, execIn, HOST_PROGRAMS, IDLE, startContainerStack } from '../../../support/stacks/containers.js';
import { onInternet, SERVERS, SITES, withNames } from '../../../support/stacks/internet.js';
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
    assert.equal(inside.stderr, 'error: rate limits can be changed from outside of the stack only\n');
    const onHost = (...words: string[]) => ctlOnHost(stack, 'limit', ...words);
    assert.deepEqual((await onHost('1Mi:2Mi')).stdout, '1048576B/s:2097152B/s\n');
    assert.match((await onHost('fast')).stderr, /^error: Invalid limit "fast" \(limit\): expected RATE/);
    assert.deepEqual((await onHost('unlimited')).stdout, 'unlimited\n');
    // More than the first limit allows.
    assert.equal(await exceeds(200 * KB, 4000 * KB), 'True');
    // A published port has its own.
    const added = await ctlOnHost(stack, 'add-ports', '127.0.0.2:8080:80');
    assert.equal(added.stderr, '');
    const id = added.stdout.trim();
    const { stdout, stderr } = await onHost(`--port=${id}`, '1M');
    assert.deepEqual([stdout, stderr], ['1000000B/s\n', '']);
    assert.deepEqual((await onHost()).stdout, 'unlimited\n');
    assert.match((await onHost('--port=99', '1M')).stderr, /^error: .*\b99\b/);
    assert.match((await onHost('--port=web', '1M')).stderr, /^error: invalid ID "web": expected a number/);
  });
});

describe('--limit of a container', () => {
  it('bounds what comes into it alone, and changes while it runs', async () => {
    const wrapper = onInternet(tempDir(), withNames({}));
    await using stack = await startContainerStack({ args: ['--net=builtin'], wrapper });
    const create = (name: string, ...options: string[]) =>
      stack.must(
        ...['run', '-d', '--name', name, ...HOST_PROGRAMS.flatMap((mount) => ['-v', mount]), ...options],
        ...['--rootfs', busyboxRootfs(), '--', ...IDLE],
      );
    await Promise.all([create('slow', '--limit=unlimited:200k'), create('free')]);
    const exceeds = async (name: string, wanted: number) => {
      const words = [`${200 * KB}`, `${wanted}`, SITES[4].server, `${SERVERS.source}`];
      return (await execIn(stack, name, 'python3', '-c', EXCESS, ...words)).trim();
    };
    assert.deepEqual(await Promise.all([exceeds('slow', 300 * KB), exceeds('free', 4000 * KB)]), ['False', 'True']);
    assert.equal(await stack.must('limit', 'slow'), 'unlimited:200000B/s');
    assert.equal(await stack.must('limit', 'slow', 'unlimited'), 'unlimited');
    assert.equal(await exceeds('slow', 4000 * KB), 'True');
    assert.equal(await stack.must('limit', 'free', '200k'), '200000B/s');
    assert.equal(await exceeds('free', 300 * KB), 'False');
  });

  it('is refused where it cannot be enforced', async () => {
    await using stack = await startContainerStack({ args: ['--net=none'] });
    const run = (...options: string[]) =>
      stack.net('run', '-d', '--name', 'c', ...options, '--rootfs', busyboxRootfs(), '--', ...IDLE);
    assert.match((await run('--limit=fast')).stderr, /^error: Invalid limit "fast" \(--limit\): expected RATE/);
    assert.match(
      (await run('--limit=1M')).stderr,
      /c cannot be run with a rate limit: .*hint: start the stack with --net=builtin/,
    );
    assert.match((await run('--limit=1M', '--network=host')).stderr, /cannot have a rate limit of its own: it shares/);
  });
});
