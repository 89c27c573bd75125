import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { formatTable } from '../../../bin/common/table.js';
import { eventText, infoText } from '../../../bin/ctl/stack-text.js';
import { normalizeGoFlags } from '../../../bin/rootlesskit-compat/go-flags.js';
import type { StackEvent } from '../../../protocol/api/types.js';
import { parsePortSpec } from '../../../protocol/ports/grammar.js';
import { binPath, type RunResult, run, start, tempDir, waitFor } from '../../support/index.js';
import { type FakeStack, startFakeStack } from '../../support/stacks/fake-stack.js';

/** Runs rootlessctl without a socket in its environment. */
function rootlessctl(args: string[], env: Record<string, string> = {}): Promise<RunResult> {
  return run(binPath('rootlessctl'), args, {
    env: { ROOTLESSKIT_STATE_DIR: undefined, ...env },
  });
}

describe('rootlessctl', function () {
  // Each call starts a process.
  this.timeout(20_000);
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());

  const ctl = (...args: string[]): Promise<RunResult> => rootlessctl(['--socket', stack.socketPath, ...args]);

  async function prints(args: string[], stdout: string, stderr = ''): Promise<void> {
    assert.deepEqual(await ctl(...args), { code: 0, signal: null, stdout, stderr });
  }

  async function fails(args: string[], stderr: RegExp, stdout = '', exitCode = 1): Promise<void> {
    const result = await ctl(...args);
    assert.match(result.stderr, stderr);
    assert.match(result.stderr, /^error: [^\n]*\n$/, 'one line');
    assert.deepEqual([result.code, result.stdout], [exitCode, stdout]);
  }

  it('adds ports and prints their ids', async () => {
    await prints(['add-ports', '127.0.0.1:8181:80/tcp', ':8182:81/udp', '8000-8001:90-91'], '1\n2\n3\n4\n');
    await prints(
      ['add-ports', '--json', '[::1]:8183:[::1]:82/tcp6'],
      '{"id":5,"spec":{"proto":"tcp6","parentIP":"::1","parentPort":8183,"childPort":82,"childIP":"::1"}}\n',
    );
  });

  it('reports which port it chose for 0', async () => {
    await prints(['add-ports', '127.0.0.1:0:80'], '1\n', 'port 1: 127.0.0.1:0:80/tcp is published on port 40001\n');
  });

  it('lists ports in a table', async () => {
    await prints(['list-ports'], 'ID    PROTO    PARENTIP    PARENTPORT    CHILDIP    CHILDPORT    \n');
    await ctl('add-ports', '127.0.0.1:8181:80/tcp', ':8182:81/udp', '[::1]:8183:[::1]:82/tcp6');
    await prints(
      ['list-ports'],
      [
        'ID    PROTO    PARENTIP     PARENTPORT    CHILDIP    CHILDPORT    \n',
        '1     tcp      127.0.0.1    8181                     80           \n',
        '2     udp                   8182                     81           \n',
        '3     tcp6     ::1          8183          ::1        82           \n',
      ].join(''),
    );
  });

  it('lists ports as JSON, one a line', async () => {
    await prints(['list-ports', '--json'], '');
    await ctl('add-ports', '127.0.0.1:8181:80/tcp', ':8182:81/udp');
    await prints(
      ['list-ports', '--json'],
      '{"id":1,"spec":{"proto":"tcp","parentIP":"127.0.0.1","parentPort":8181,"childPort":80}}\n' +
        '{"id":2,"spec":{"proto":"udp","parentPort":8182,"childPort":81}}\n',
    );
  });

  it('lists counters when requested, and states that are not normal', async () => {
    await ctl('add-ports', '8181:80', '8182:81');
    const counters = { open: 1, opened: 22, refused: 0, bytesIn: 333, bytesOut: 4444 };
    stack.ports.reports.set(1, { listener: { state: 'waiting', reason: 'out of file descriptors' }, counters });
    await prints(
      ['list-ports'],
      [
        'ID    PROTO    PARENTIP    PARENTPORT    CHILDIP    CHILDPORT    STATE                               \n',
        '1     tcp                  8181                     80           waiting: out of file descriptors    \n',
        '2     tcp                  8182                     81           listening                           \n',
      ].join(''),
    );
    stack.ports.reports.set(1, { listener: { state: 'listening' }, counters });
    await prints(
      ['list-ports', '--counters'],
      [
        'ID    PROTO    PARENTIP    PARENTPORT    CHILDIP    CHILDPORT    OPEN    OPENED    REFUSED    BYTESIN    BYTESOUT    \n',
        '1     tcp                  8181                     80           1       22        0          333        4444        \n',
        '2     tcp                  8182                     81                                                               \n',
      ].join(''),
    );
  });

  it('removes ports and prints their ids', async () => {
    await ctl('add-ports', '8181-8184:80-83');
    await prints(['remove-ports', '2', '3'], '2\n3\n');
    await fails(['remove-ports', '1', '9', '4'], /^error: unknown id: 9\n$/, '1\n');
    assert.deepEqual(
      stack.ports.list().map(({ id }) => id),
      [4],
    );
  });

  it('removes ranges of ids', async () => {
    await ctl('add-ports', '8181:80', '8281:80', '8381:80', '8481:80');
    await prints(['remove-ports', '1-2', '4'], '1\n2\n4\n');
    await fails(['remove-ports', '3-2'], /^error: invalid ID "3-2": expected a number, .* or a range/);
    assert.deepEqual(
      stack.ports.list().map(({ id }) => id),
      [3],
    );
  });

  it('shows info', async () => {
    await prints(
      ['info'],
      [
        '- REST API version: 1.1.1',
        '- Implementation version: 9.9.9',
        '- State Directory: /run/user/1000/stack',
        '- Child PID: 4242',
        '- Network Driver: slirp4netns',
        '  - DNS: [10.0.2.3]',
        '  - IP: 10.0.2.100',
        '- Port Driver: builtin',
        '  - Supported protocols: [tcp tcp4 tcp6 udp udp4 udp6]',
        '',
      ].join('\n'),
    );
    const { stdout } = await ctl('info', '--json');
    assert.match(stdout, /^\{\n {4}"apiVersion": "1\.1\.1",\n {4}"version": "9\.9\.9",/);
    assert.match(
      stdout,
      /\n {4}"networkDriver": \{\n {8}"driver": "slirp4netns",\n {8}"dns": \[\n {12}"10\.0\.2\.3"\n {8}\],/,
    );
    assert.match(stdout, /\n\}\n$/);
  });

  describe('when something is wrong', () => {
    it('parses all specs before it adds the first', async () => {
      await fails(['add-ports', '8181:80', 'bad'], /invalid port "bad": no child port; expected /);
      assert.deepEqual(stack.ports.list(), []);
    });
    it('stops at the first that is refused, and reports how far it came', async () => {
      await fails(
        ['add-ports', '8181-8182:80-81', '8181:82', '8183-8184:83-84'],
        /^error: conflict with ID 1 \(at 8181:82\/tcp; added before it: ID 1-2; not tried: 2 more\); hint: \*:8181\/tcp is published already; rootlessctl remove-ports 1 removes it\n$/,
        '1\n2\n',
      );
      await fails(
        ['add-ports', '8181:82'],
        /^error: conflict with ID 1; hint: \*:8181\/tcp is published already; .*\n$/,
      );
    });
    it('requires a command', async () => {
      await fails(['add-ports'], /^error: no port specified\n$/);
      await fails(['remove-ports'], /^error: no ID specified\n$/);
      await fails(['remove-ports', '1', 'abc'], /^error: invalid ID "abc": expected a number/);
    });
    it('suggests the right command or option', async () => {
      await fails(['list-port'], /unknown command 'list-port' \(Did you mean list-ports\?\)/, '', 3);
      assert.equal((await ctl('help', 'list-port')).code, 3);
      await fails(['list-ports', '--jsn'], /unknown option '--jsn' \(Did you mean --json\?\)/);
      await fails(['--sockt', 'x', 'info'], /unknown option '--sockt' \(Did you mean --socket\?\)/);
    });
    it('names the socket without a listener', async () => {
      await stack.close();
      await fails(['info'], /^error: no stack at .*api\.sock: no such socket; /);
    });
    it('prints with --debug where the error comes from', async () => {
      const { stderr, code } = await ctl('--debug', 'remove-ports', '7');
      assert.match(stderr, /^error: APIError: unknown id: 7\n +at /);
      assert.equal(code, 1);
    });
  });

  it('finds the socket in the state directory that the environment names', async () => {
    const stateDir = dirname(stack.socketPath);
    assert.equal((await rootlessctl(['info'], { ROOTLESSKIT_STATE_DIR: stateDir })).code, 0);
    const other = await rootlessctl(['--socket', join(tempDir(), 'x'), 'info'], { ROOTLESSKIT_STATE_DIR: stateDir });
    assert.equal(other.code, 1, '--socket comes first');
  });

  it('shows version and help without a stack', async () => {
    for (const flag of ['--version', '-v', '-version']) {
      assert.deepEqual(await rootlessctl([flag]), {
        code: 0,
        signal: null,
        stdout: 'rootlessctl version 3.2.0\n',
        stderr: '',
      });
    }
    for (const args of [[], ['--help'], ['-h']]) {
      const { code, stdout, stderr } = await rootlessctl(args);
      assert.deepEqual([code, stderr], [0, '']);
      for (const word of ['list-ports', 'add-ports', 'remove-ports', 'info', 'events', 'flows', '--socket']) {
        assert(stdout.includes(word), `${word} is missing in:\n${stdout}`);
      }
    }
  });

  describe('events', () => {
    const follow = (...args: string[]) =>
      start(binPath('rootlessctl'), ['--socket', stack.socketPath, 'events', ...args], {
        ready: { output: /ready/ },
      });

    it('prints a line for each', async () => {
      await using events = await follow();
      stack.events.emit({ type: 'port-removed', ports: { id: 3, ...parsePortSpec('53:53/udp') } });
      await waitFor(() => events.output().includes('removed'), { what: 'the event' });
      assert.match(events.output(), /^\d{4}-.*Z port driver builtin ready\n\d{4}-.*Z port 3 removed: 53:53\/udp\n$/);
    });

    it('prints JSON as it comes, and ends with the stack', async () => {
      await using events = await follow('--json');
      stack.events.emit({ type: 'connection-opened', port: 1, connection: 2, client: '127.0.0.1:3' });
      await waitFor(() => events.output().includes('opened'), { what: 'the event' });
      await stack.close();
      assert.deepEqual(await events.ended, { code: 0, signal: null });
      const types = events
        .output()
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as StackEvent).type);
      assert.deepEqual(types, ['driver-state', 'connection-opened']);
    });

    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      it(`ends quietly on ${signal}`, async () => {
        await using events = await follow();
        assert.deepEqual(await events.stop(signal), { code: 0, signal: null });
        assert.equal(events.output().split('\n').length, 2);
      });
    }

    it('ends quietly when its reader has gone', async () => {
      const child = spawn(binPath('rootlessctl'), ['--socket', stack.socketPath, 'events']);
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      const ended = once(child, 'close');
      await once(child.stdout, 'data');
      child.stdout.destroy();
      await once(child.stdout, 'close');
      stack.events.emit({ type: 'driver-state', driver: 'builtin', state: 'lost' });
      assert.deepEqual([...(await ended), stderr], [0, null, '']);
    });
  });
});

describe('text of rootlessctl', () => {
  it('prints every event in a line', () => {
    const spec = { proto: 'tcp', parentIP: '127.0.0.2', parentPort: 8080, childPort: 80 };
    const time = Date.UTC(2030, 0, 2, 3, 4, 5, 6);
    const lines: [event: StackEvent, text: string][] = [
      [{ time, type: 'port-added', id: 1, spec }, 'port 1 added: 127.0.0.2:8080:80/tcp'],
      [{ time, type: 'port-removed', id: 1, spec }, 'port 1 removed: 127.0.0.2:8080:80/tcp'],
      [{ time, type: 'port-state', id: 1, listener: { state: 'listening' } }, 'port 1 listening'],
      [{ time, type: 'port-state', id: 1, listener: { state: 'waiting', reason: 'so' } }, 'port 1 waiting: so'],
      [
        { time, type: 'connection-opened', port: 1, connection: 7, client: '[::1]:5' },
        'port 1 connection 7 opened from [::1]:5',
      ],
      [
        { time, type: 'connection-refused', port: 1, connection: 7, client: '[::1]:5', reason: 'ECONNREFUSED' },
        'port 1 connection 7 refused from [::1]:5: ECONNREFUSED',
      ],
      [
        { time, type: 'connection-closed', port: 1, connection: 7, bytesIn: 10, bytesOut: 20 },
        'port 1 connection 7 closed: 10 bytes in, 20 out',
      ],
      [
        {
          time,
          type: 'outbound-opened',
          protocol: 'tcp',
          connection: 8,
          client: '10.0.2.100:5',
          destination: '10.0.2.2:80',
          host: '127.0.0.1:8080',
        },
        'outbound connection 8 opened from 10.0.2.100:5 to 10.0.2.2:80/tcp at 127.0.0.1:8080',
      ],
      [
        {
          time,
          type: 'outbound-closed',
          protocol: 'tcp',
          connection: 8,
          client: '10.0.2.100:5',
          destination: '192.0.2.1:80',
          host: '192.0.2.1:80',
          name: 'x.example',
          bytesSent: 1,
          bytesReceived: 2,
        },
        'outbound connection 8 closed: 1 bytes sent, 2 received',
      ],
      [{ time, type: 'driver-state', driver: 'builtin', state: 'lost', reason: 'so' }, 'port driver builtin lost: so'],
    ];
    for (const [event, text] of lines) assert.equal(eventText(event), `2030-01-02T03:04:05.006Z ${text}`);
  });

  it('passes on an event that it does not know', () => {
    const event = { time: 0, type: 'new' } as unknown as StackEvent;
    assert.equal(eventText(event), '1970-01-01T00:00:00.000Z {"time":0,"type":"new"}');
  });

  it('leaves out of info what does not exist', () => {
    const info = { apiVersion: '1.1.1', version: '1', stateDir: '/s', childPID: 2 };
    assert.equal(
      infoText(info),
      '- REST API version: 1.1.1\n- Implementation version: 1\n- State Directory: /s\n- Child PID: 2\n',
    );
    const networkDriver = { driver: 'x', dns: ['a', 'b'] };
    assert.match(infoText({ ...info, networkDriver }), /\n- Network Driver: x\n {2}- DNS: \[a b\]\n$/);
    assert.match(infoText({ ...info, networkDriver: { driver: 'none' } }), /\n {2}- DNS: \[\]\n$/);
  });

  it('aligns columns as a terminal shows them', () => {
    assert.equal(
      formatTable([
        ['a', ''],
        ['äö😀', 'b'],
      ]),
      'a            \näö😀    b    \n',
    );
  });
});

describe('options as Go parses them', () => {
  const options = { booleans: ['json', 'debug'], valued: ['socket'] };
  const cases: [args: string[], normalized: string[]][] = [
    [
      ['-socket', 'x', 'info', '-json'],
      ['--socket', 'x', 'info', '--json'],
    ],
    [
      ['-socket=x=y', '--socket='],
      ['--socket=x=y', '--socket='],
    ],
    [
      ['--json=true', '--json=1', '-json=T'],
      ['--json', '--json', '--json'],
    ],
    [['--json=false', '-json=0'], []],
    [
      ['--socket', '-json'],
      ['--socket', '-json'],
    ],
    [['--socket'], ['--socket']],
    [
      ['-h', '--other', '-x=1', '-5'],
      ['-h', '--other', '-x=1', '-5'],
    ],
    [
      ['-json', '--', '-json'],
      ['--json', '--', '-json'],
    ],
  ];
  for (const [args, normalized] of cases) {
    it(`turns ${args.join(' ')} into ${normalized.join(' ') || 'nothing'}`, () => {
      assert.deepEqual(normalizeGoFlags(args, options), normalized);
    });
  }
  it('refuses what is neither on nor off', () => {
    assert.throws(() => normalizeGoFlags(['--json=maybe'], options), /^GoFlagError: invalid --json "maybe": /);
  });
});
