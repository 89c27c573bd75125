import assert from 'node:assert/strict';
import { ageText, bytesText } from '../../../bin/ctl/flow-text.js';
import type { Flow } from '../../../protocol/api/types.js';
import { binPath, run, start, waitFor } from '../../support/index.js';
import { type FakeStack, startFakeStack } from '../../support/stacks/fake-stack.js';

const FLOW: Flow = {
  protocol: 'tcp',
  direction: 'out',
  connection: 7,
  client: '10.0.2.100:33333',
  destination: '10.0.2.2:5432',
  host: '127.0.0.1:5433',
  name: 'db',
  program: { pid: 42, name: 'psql' },
  container: 'web',
  bytesSent: 1234,
  bytesReceived: 999,
  since: 0,
  verdict: 'allowed',
};
const INBOUND: Flow = {
  protocol: 'udp',
  direction: 'in',
  connection: 8,
  port: 1,
  client: '[2001:db8::7]:5',
  destination: ':53',
  host: '[::1]:5353',
  bytesSent: 5_000_000,
  bytesReceived: 0,
  since: 0,
  verdict: 'allowed',
};

describe('rootlessctl flows', function () {
  // Each call starts a process.
  this.timeout(20_000);
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack({ flows: async () => [FLOW, { ...INBOUND, name: 'evil\u001b[2J' }] });
  });
  afterEach(() => stack.close());

  it('prints a table, without what would harm a terminal', async () => {
    const { code, stdout, stderr } = await run(binPath('rootlessctl'), ['--socket', stack.socketPath, 'flows']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(
      stdout.split('\n').map((line) => line.trimEnd().replace(/ +\d+d +/, ' AGE ')),
      [
        'PROTO    DIR    WHO             NAME/ADDRESS    PORT    SENT     RECEIVED    AGE       VERDICT',
        'tcp      out    web/psql[42]    db              5432    1.2kB    999B AGE allowed',
        'udp      in                     evil [2J        5353    5.0MB    0B AGE allowed',
        '',
      ],
    );
  });

  it('prints JSON', async () => {
    const { stdout } = await run(binPath('rootlessctl'), ['--socket', stack.socketPath, 'flows', '--json']);
    assert.deepEqual(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as Flow).connection),
      [7, 8],
    );
  });

  it('follows connections, and knows what it has listed when they end', async () => {
    let watched = false;
    stack.events.onWatched = (wanted) => {
      watched = wanted;
    };
    const args = ['--socket', stack.socketPath, 'flows', '-f'];
    await using flows = await start(binPath('rootlessctl'), args, { ready: { output: /VERDICT/ } });
    await waitFor(() => watched, { what: 'the subscription' });
    const other = { protocol: 'tcp', connection: 9, client: '10.0.2.100:1', destination: '[2001:db8::1]:443' } as const;
    const host = other.destination;
    stack.events.emit({ type: 'outbound-opened', ...other, host });
    stack.events.emit({ type: 'outbound-closed', ...other, host, bytesSent: 1, bytesReceived: 2 });
    const denied = {
      type: 'egress-denied',
      protocol: 'tcp',
      client: '10.0.2.100:2',
      reason: 'no rule allows it',
    } as const;
    stack.events.emit({ ...denied, destination: '192.0.2.9:80' });
    stack.events.emit({ ...denied, protocol: 'dns', destination: 'evil\u001b[2J', rule: 'deny evil' });
    stack.events.emit({ type: 'connection-opened', port: 2, protocol: 'udp', connection: 10, client: '192.0.2.1:5' });
    stack.events.emit({ type: 'connection-closed', port: 1, connection: 8, bytesIn: 3, bytesOut: 4 });
    await waitFor(() => /on port/.test(flows.output()), { what: 'the last event' });
    const lines = flows.output().trimEnd().split('\n').slice(3);
    assert.deepEqual(
      lines.map((line) => line.replace(/^\S+Z /, '')),
      [
        'opened tcp out - to 2001:db8::1 port 443',
        'closed tcp out - to 2001:db8::1 port 443: 1 bytes sent, 2 received',
        'denied tcp out 10.0.2.100:2 to 192.0.2.9:80: no rule allows it',
        'denied dns out 10.0.2.100:2 to evil [2J: rule "deny evil"',
        'opened udp in - from 192.0.2.1 at published port 2',
        'closed udp in - from evil [2J on port 5353: 4 bytes sent, 3 received',
      ],
    );
  });
});

describe('the list of rootlessctl flows', () => {
  it('has as many of each direction as requested', async () => {
    let most = 0;
    const flows = async (limit: number) => {
      most = limit;
      return [FLOW];
    };
    const stack = await startFakeStack({ flows });
    try {
      const call = (...words: string[]) =>
        run(binPath('rootlessctl'), ['--socket', stack.socketPath, 'flows', ...words]);
      assert.deepEqual([(await call('--max', '7')).stderr, most], ['', 7]);
      assert.equal(
        (await call('--max', '1')).stderr,
        'at most 1 of each direction are listed, the oldest; --max lists more\n',
      );
      for (const wrong of ['0', 'all']) {
        const { code, stderr } = await call(`--max=${wrong}`);
        assert.deepEqual([code, stderr], [1, `error: invalid --max "${wrong}": expected a number from 1 to 100000\n`]);
      }
    } finally {
      stack.close();
    }
  });
});

describe('text of rootlessctl flows', () => {
  it('has sizes and ages in one unit', () => {
    assert.deepEqual([0, 999, 1000, 9949, 123_456, 1e6, 2.5e13].map(bytesText), [
      '0B',
      '999B',
      '1.0kB',
      '9.9kB',
      '123kB',
      '1.0MB',
      '25.0TB',
    ]);
    assert.deepEqual([-5, 0, 59_999, 60_000, 3_599_999, 3_600_000, 86_400_000 * 400].map(ageText), [
      '0s',
      '0s',
      '59s',
      '1m',
      '59m',
      '1h',
      '400d',
    ]);
  });
});
