// The cases that other container tools test of -p: where it listens, from where it is reached, and ranges; with what `port`,
// `inspect` and `ps` show of each. All are published by one container.
import assert from 'node:assert/strict';
import { hostAddresses, tcpOutcome, tcpRequest, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  IDLE,
  removeAll,
  startContainerStack,
  WEB,
} from '../../../support/stacks/containers.js';
import { freeRange } from '../../ports/suite/common.js';

const LOOPBACK = '127.0.0.1';
const EVERY = '0.0.0.0';
/** Ports that each case has for itself. */
const SPAN = 6;

type Result = 'answers' | 'refused' | 'reset';

interface Case {
  listen: string;
  connect: string;
  /** Ports of the host: one, or all of the case's. */
  range?: boolean;
  container: string;
  /** Which of the host's ports is asked. */
  at?: number;
  result: Result;
}

describe('the table of published ports', () => {
  /** That of the host which is not loopback. */
  const lan = hostAddresses.v4 ?? '';
  const single = { container: '80' };
  const range = { container: '79-84', range: true, at: 1 };
  const cases: Case[] = [
    { listen: LOOPBACK, connect: LOOPBACK, ...single, result: 'answers' },
    { listen: lan, connect: lan, ...single, result: 'answers' },
    { listen: lan, connect: LOOPBACK, ...single, result: 'refused' },
    { listen: LOOPBACK, connect: lan, ...single, result: 'refused' },
    { listen: EVERY, connect: LOOPBACK, ...single, result: 'answers' },
    { listen: EVERY, connect: lan, ...single, result: 'answers' },
    { listen: LOOPBACK, connect: LOOPBACK, ...range, result: 'answers' },
    { listen: lan, connect: lan, ...range, result: 'answers' },
    { listen: lan, connect: LOOPBACK, ...range, result: 'refused' },
    { listen: LOOPBACK, connect: lan, ...range, result: 'refused' },
    { listen: EVERY, connect: lan, ...range, result: 'answers' },
    // 81 of the container, where nothing listens.
    { listen: EVERY, connect: LOOPBACK, container: '80-85', range: true, at: 1, result: 'reset' },
    // The first free one of the range alone.
    { listen: EVERY, connect: LOOPBACK, container: '80', range: true, at: 0, result: 'answers' },
    { listen: EVERY, connect: LOOPBACK, container: '80', range: true, at: 5, result: 'refused' },
    // Beyond the table: other loopback addresses, and IPv6.
    { listen: '127.0.0.2', connect: '127.0.0.2', ...single, result: 'answers' },
    { listen: '127.0.0.2', connect: LOOPBACK, ...single, result: 'refused' },
    { listen: '', connect: '::1', ...single, result: 'answers' },
    { listen: '', connect: lan, ...single, result: 'answers' },
    { listen: '[::]', connect: '::1', ...single, result: 'answers' },
    { listen: '[::]', connect: LOOPBACK, ...single, result: 'refused' },
    { listen: EVERY, connect: '::1', ...single, result: 'refused' },
  ];
  let stack: ContainerStack;
  let first: number;
  const hostPort = (index: number, at = 0) => first + index * SPAN + at;
  const specOf = ({ listen, container, range = false }: Case, index: number) => {
    const host = range ? `${hostPort(index)}-${hostPort(index, SPAN - 1)}` : hostPort(index);
    return `${listen === '' ? '' : `${listen}:`}${host}:${container}`;
  };

  before(async () => {
    assert.notEqual(lan, '', 'the tests have an address that is not loopback');
    stack = await startContainerStack();
    first = await freeRange(EVERY, cases.length * SPAN);
    const ports = cases.flatMap((one, index) => ['-p', specOf(one, index)]);
    const { code, stderr } = await stack.net(
      ...['run', '-d', '--name', 'web', ...ports, '--rootfs', busyboxRootfs(), '--', ...WEB],
    );
    assert.equal(code, 0, stderr);
    await waitFor(() => answers(LOOPBACK, hostPort(0)), { what: 'the web server' });
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  const answers = async (host: string, port: number) => {
    const text = await tcpRequest(host, port, 'GET / HTTP/1.0\r\n\r\n').catch(() => Buffer.alloc(0));
    return /\r\n\r\n[0-9a-f]{12}\n$/.test(text.toString());
  };
  const resultAt = async (host: string, port: number): Promise<Result | string> => {
    if (await answers(host, port)) return 'answers';
    const { error } = await tcpOutcome(host, port);
    return error === 'ECONNREFUSED' ? 'refused' : error === 'ECONNRESET' ? 'reset' : (error ?? 'no answer');
  };

  for (const [index, one] of cases.entries()) {
    const shown = `${one.listen || '*'}:${one.range ? 'RANGE' : 'PORT'}:${one.container}`;
    it(`${shown} at ${one.connect}, port ${one.at ?? 0}: ${one.result}`, async () => {
      const port = hostPort(index, one.at);
      assert.equal(await resultAt(one.connect, port), one.result);
      const address = one.listen === '' ? '[::]' : one.listen;
      const lines = (await stack.must('port', 'web')).split('\n');
      const [containerFirst = 0] = one.container.split('-').map(Number);
      const isPublished = !(one.range && one.container === '80' && one.at === 5);
      const line = `${containerFirst + (one.container === '80' ? 0 : (one.at ?? 0))}/tcp -> ${address}:${port}`;
      assert.equal(lines.includes(line), isPublished, `${line} among\n${lines.join('\n')}`);
    });
  }

  it('refuses ranges of different length, and makes nothing', async () => {
    const free = await freeRange(LOOPBACK, SPAN);
    const { code, stdout, stderr } = await stack.net(
      ...['run', '-d', '--name', 'refused', '-p', `${EVERY}:${free}-${free + 5}:79-85`],
      ...['--rootfs', busyboxRootfs(), '--', ...IDLE],
    );
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    assert.match(stderr, /^error: .*ranges of different length, 6 host ports for 7 container ports.*\n$/);
    assert.equal(await stack.must('ps', '-aq', '--filter', 'name=refused'), '');
  });

  it('is what ps and inspect show', async () => {
    const row = await stack.must('ps', '--format', '{{.Ports}}');
    assert(row.startsWith(`${LOOPBACK}:${hostPort(0)}->80/tcp, ${lan}:${hostPort(1)}->80/tcp`), row);
    const all = hostPort(6);
    assert(row.includes(`${LOOPBACK}:${all}-${all + 5}->79-84/tcp`), row);
    const every = hostPort(16);
    assert(row.includes(`0.0.0.0:${every}->80/tcp, [::]:${every}->80/tcp`), row);
    const format = '{{range index .NetworkSettings.Ports "79/tcp"}}{{.HostIp}}:{{.HostPort}} {{end}}';
    const expected = cases.flatMap((one, index) =>
      one.container === '79-84' ? [`${one.listen}:${hostPort(index)}`] : [],
    );
    assert.equal(await stack.must('inspect', '-f', format, 'web'), expected.join(' '));
  });

  it('is empty when the container has ended, and all of it is free', async () => {
    await stack.must('kill', 'web');
    await stack.must('wait', 'web');
    assert.equal(await stack.must('port', 'web'), '');
    for (const index of cases.keys()) assert.equal(await resultAt(LOOPBACK, hostPort(index)), 'refused');
    await removeAll(stack);
  });
});
