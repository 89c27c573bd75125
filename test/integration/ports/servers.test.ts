import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { near } from '../../setup/machine/far-machine.js';
import {
  freePort,
  hostAddresses,
  listens,
  type RunningStack,
  run,
  startStack,
  tempDir,
  waitFor,
} from '../../support/index.js';
import { askAll, here, there } from '../../support/traffic/peers.js';

// Programs as people run them, each the command of its stack, published on an address of loopback.

/** A stack whose command is a server; resolves when the server listens inside. */
async function serve(
  command: readonly string[],
  childPort: number,
  options: { publish: readonly string[]; protocol?: 'tcp' | 'udp' },
): Promise<RunningStack> {
  const stack = await startStack({ publish: options.publish, command });
  try {
    await listens(stack, childPort, options.protocol);
    return stack;
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw new Error(`the server did not come up; its output:\n${stack.started.output()}`, { cause: error });
  }
}

/** Runs a program; fails with its output unless it succeeds. */
async function succeed(command: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, { timeout: 60_000, ...(input !== undefined && { input }) });
  assert.equal(code, 0, `${command} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

const shell = (script: string) => succeed('bash', ['-c', `set -o pipefail; ${script}`]);

describe('nginx and curl', () => {
  /** nginx as root in the namespaces, which it is, on port 80 of `listen`. */
  function nginx(text: string, listen = '127.0.0.1'): string[] {
    const directory = tempDir();
    mkdirSync(join(directory, 'www'));
    writeFileSync(join(directory, 'www', 'index.html'), text);
    writeFileSync(join(directory, 'www', 'large'), Buffer.alloc(5_000_000, text));
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    writeFileSync(
      join(directory, 'nginx.conf'),
      `user root root;
       worker_processes 1;
       pid ${directory}/pid;
       events {}
       http {
         access_log off;
         ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
         server { listen ${listen}:80; root ${directory}/www; }
       }`,
    );
    return ['nginx', '-e', 'stderr', '-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'];
  }

  it('serve a page on 127.0.0.2, 127.0.0.3, ::1 and the other addresses of the host', async () => {
    const hosts = ['127.0.0.2', '127.0.0.3', '[::1]'];
    if (hostAddresses.v4) hosts.push(hostAddresses.v4);
    if (hostAddresses.v6) hosts.push(`[${hostAddresses.v6}]`);
    const port = await freePort('::');
    await using _stack = await serve(nginx('the page'), 80, { publish: hosts.map((host) => `${host}:${port}:80`) });
    for (const host of hosts) {
      assert.equal(await succeed('curl', ['--silent', '--fail', `http://${host}:${port}/`]), 'the page');
    }
    const other = await run('curl', ['--silent', `http://127.0.0.1:${port}/`]);
    assert.equal(other.code, 7, 'curl could connect to 127.0.0.1');
    const ss = await succeed('ss', ['-Hltn', `sport = :${port}`]);
    assert.equal(ss.trim().split('\n').length, hosts.length);
    assert.doesNotMatch(ss, /127\.0\.0\.1:|0\.0\.0\.0:\d|\*:\d/);
  });

  it('serve two sites on one port of two addresses, from two stacks', async () => {
    const port = await freePort('::');
    await using _first = await serve(nginx('first'), 80, { publish: [`127.0.0.2:${port}:80`] });
    await using _second = await serve(nginx('second', '0.0.0.0'), 80, { publish: [`127.0.0.3:${port}:80`] });
    assert.equal(await succeed('curl', ['--silent', '--fail', `http://127.0.0.2:${port}/`]), 'first');
    assert.equal(await succeed('curl', ['--silent', '--fail', `http://127.0.0.3:${port}/`]), 'second');
  });

  it('keep a connection alive, and send many files over it', async () => {
    await using stack = await serve(nginx('x'), 80, { publish: ['127.0.0.2:0:80'] });
    const [published] = await stack.published();
    const url = `http://127.0.0.2:${published?.port}/large`;
    const text = '%{http_code} %{size_download} %{num_connects}\\n';
    const output = await succeed('curl', [
      '--silent',
      '--write-out',
      text,
      ...Array(8).fill(['-o', '/dev/null', url]).flat(),
    ]);
    const lines = output.trim().split('\n');
    assert.deepEqual(lines, ['200 5000000 1', ...Array<string>(7).fill('200 5000000 0')]);
    assert.equal((await stack.counters(published?.id ?? 0)).opened, 1);
  });
});

describe('redis', () => {
  const redis = ['redis-server', '--port', '6379', '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];

  it('takes a pipe of commands, and a benchmark', async () => {
    await using stack = await serve([...redis, '--dir', tempDir()], 6379, { publish: ['127.0.0.2:0:6379'] });
    const [published] = await stack.published();
    const to = ['-h', '127.0.0.2', '-p', String(published?.port)];
    const count = 50_000;
    const commands = Array.from({ length: count }, (_, i) => `SET key${i} value${i}\r\n`).join('');
    assert.match(
      await succeed('redis-cli', [...to, '--pipe'], commands),
      new RegExp(`errors: 0, replies: ${count}\\b`),
    );
    assert.equal(await succeed('redis-cli', [...to, 'dbsize']), `${count}\n`);
    assert.equal(await succeed('redis-cli', [...to, 'get', 'key4711']), 'value4711\n');
    const benchmark = await succeed('redis-benchmark', [
      ...to,
      ...['-n', '2000', '-c', '50', '-P', '4', '-d', '2000', '-t', 'set,get,lrange_100', '--csv'],
    ]);
    for (const test of ['SET', 'GET', 'LRANGE_100']) assert.match(benchmark, new RegExp(`"${test}`));
    // Blocks until there is a push: a connection that is silent for a while in both directions.
    const waiting = run('redis-cli', [...to, 'blpop', 'list', '10']);
    await waitFor(async () => (await succeed('redis-cli', [...to, 'client', 'list'])).includes('cmd=blpop'));
    await succeed('redis-cli', [...to, 'rpush', 'list', 'at last']);
    assert.equal((await waiting).stdout, 'list\nat last\n');
  });
});

/** Directory of the newest PostgreSQL server's programs, which is not in PATH; undefined where there is none. */
function postgresPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return undefined;
  return readdirSync(root)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'))
    .find((directory) => existsSync(join(directory, 'postgres')));
}

const programs = postgresPrograms();
// It is not among what the tests install: where it happens to be there, it is used.
describe('PostgreSQL', () => {
  if (!programs) return;
  it('answers queries, and refuses a client that asks for encryption first', async () => {
    const directory = join(tempDir(), 'data');
    const sockets = tempDir();
    chmodSync(sockets, 0o700);
    await succeed(join(programs ?? '', 'initdb'), ['-D', directory, '-U', 'tester', '--auth=trust', '--no-sync']);
    // It refuses to run as root, which it would be: another user namespace inside makes it uid 1 again.
    const server = ['postgres', '-D', directory, '-k', sockets, '-h', '127.0.0.1', '-p', '5432', '-c', 'fsync=off'];
    const command = ['unshare', '--user', '--map-user=1', '--map-group=1', join(programs ?? '', server[0] ?? '')];
    await using stack = await serve([...command, ...server.slice(1)], 5432, { publish: ['127.0.0.2:0:5432'] });
    const [published] = await stack.published();
    const psql = (sql: string) =>
      succeed('psql', [
        '-h',
        '127.0.0.2',
        '-p',
        String(published?.port),
        '-U',
        'tester',
        '-d',
        'postgres',
        '-Atc',
        sql,
      ]);
    await waitFor(() => psql('select 1'), { what: 'the end of the start-up' });
    assert.equal(await psql('select sum(n) from generate_series(1, 1000) n'), '500500\n');
    assert.equal((await psql(`select repeat('x', 3000000)`)).length, 3_000_001);
  });
});

describe('dnsmasq and dig', () => {
  const onLoopback = ['--listen-address=127.0.0.1', '--bind-interfaces'];
  const dnsmasq = (...listen: string[]) => [
    ...['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--group=root'],
    ...['--no-resolv', '--no-hosts', '--port=53', ...listen],
    '--address=/name.test/192.0.2.7',
    `--txt-record=long.test,${Array.from({ length: 12 }, (_, i) => `${i}`.padEnd(250, 'x')).join(',')}`,
  ];

  it('speak over UDP and over TCP, and change from one to the other', async () => {
    const port = await freePort('127.0.0.2');
    await using _stack = await serve(dnsmasq(...onLoopback), 53, {
      publish: [`127.0.0.2:${port}:53/udp`, `127.0.0.2:${port}:53/tcp`],
      protocol: 'udp',
    });
    const dig = (...args: string[]) => succeed('dig', ['@127.0.0.2', '-p', String(port), '+tries=1', ...args]);
    assert.equal(await dig('+short', 'a.name.test'), '192.0.2.7\n');
    assert.equal(await dig('+short', '+tcp', 'a.name.test'), '192.0.2.7\n');
    const long = await dig('+bufsize=512', 'long.test', 'txt');
    assert.match(long, /Truncated, retrying in TCP mode/);
    assert.match(long, /"11x{248}"/);
    assert.match(long, new RegExp(`SERVER: 127\\.0\\.0\\.2#${port}\\(`));
  });

  it('speak if the server listens on every address, from every address that is asked', async () => {
    const port = await freePort('127.0.0.2');
    const hosts = ['127.0.0.2', '::1', ...(there ? [near.v4, near.v6] : [])];
    await using _stack = await serve(dnsmasq(), 53, {
      publish: hosts.map((host) => `${host.includes(':') ? `[${host}]` : host}:${port}:53/udp`),
      protocol: 'udp',
    });
    for (const host of hosts) {
      // It takes no answer from elsewhere.
      const dig = ['dig', `@${host}`, '-p', String(port), '+tries=1', '+time=10', '+short', 'a.name.test'];
      const machine = host.startsWith('127.') || host === '::1' || !there ? here : there;
      assert.equal(await machine(dig), '192.0.2.7\n', host);
    }
  });
});

describe('socat', () => {
  for (const [name, address, hosts] of [
    ['IPv4', 'UDP4-RECVFROM:5000,fork', ['127.0.0.2', near.v4]],
    ['IPv4, with a process for each client', 'UDP4-LISTEN:5000,fork,reuseaddr', ['127.0.0.2', near.v4]],
    ['IPv6', 'UDP6-RECVFROM:5000,fork', ['127.0.0.2', '::1', near.v4, near.v6]],
  ] as const) {
    it(`answers datagrams on every address (${name}), from every address that is asked`, async () => {
      const published = hosts.filter((host) => there || host === '127.0.0.2' || host === '::1');
      const port = await freePort('127.0.0.2');
      await using _stack = await serve(['socat', address, 'PIPE'], 5000, {
        publish: published.map((host) => `${host.includes(':') ? `[${host}]` : host}:${port}:5000/udp`),
        protocol: 'udp',
      });
      for (const host of published) {
        const machine = host.startsWith('127.') || host === '::1' || !there ? here : there;
        const [asked] = await askAll(machine, [{ host, port }]);
        assert.deepEqual(asked?.answers, ['0'], host);
      }
    });
  }
});

describe('iperf3', () => {
  it('moves bytes in both directions, over TCP and UDP', async () => {
    const port = await freePort('127.0.0.2');
    await using _stack = await serve(['iperf3', '-s', '-B', '127.0.0.1', '-p', '5201'], 5201, {
      publish: [`127.0.0.2:${port}:5201`, `127.0.0.2:${port}:5201/udp`],
    });
    for (const options of [
      [],
      ['-R'],
      ['-P', '4'],
      ['-u', '-b', '200M', '-l', '1400'],
      ['-u', '-b', '200M', '-l', '1400', '-R'],
    ]) {
      const client = ['-c', '127.0.0.2', '-p', String(port), '-t', '1', '-J', ...options];
      const { end } = JSON.parse(await succeed('iperf3', client));
      const sum = options.includes('-u') ? end.sum : end.sum_received;
      assert.ok(sum.bytes > 1_000_000, `iperf3 ${options.join(' ')} moved ${sum.bytes} bytes`);
      if (options.includes('-u')) {
        const { packets, lost_packets: lost } = sum;
        assert.ok(lost < packets, `iperf3 ${options.join(' ')}: ${lost} of ${packets} lost`);
      }
    }
  });
});

describe('socat, openssl and sha256sum', () => {
  const size = 1 << 30;
  // One keystream on both sides: bytes that are nowhere alike, without a file.
  const key = `openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv ${'0'.repeat(32)} -in /dev/zero`;
  const bytes = `{ ${key} 2>/dev/null || true; } | head -c ${size}`;
  let expected: Promise<string> | undefined;
  const sum = () => (expected ??= shell(`${bytes} | sha256sum`));

  it('carry 1 GiB in, unchanged', async () => {
    const file = join(tempDir(), 'sum');
    const listener = [
      'socat',
      '-u',
      'TCP-LISTEN:7000,bind=127.0.0.1',
      `SYSTEM:sha256sum > ${file}.new && mv ${file}.new ${file}`,
    ];
    await using stack = await serve(['sh', '-c', '"$@"; while :; do sleep 1000; done', 'sh', ...listener], 7000, {
      publish: ['127.0.0.2:0:7000'],
    });
    const [published] = await stack.published();
    await shell(`${bytes} | socat -u - TCP:127.0.0.2:${published?.port}`);
    await waitFor(() => existsSync(file), { what: 'the sum on the other side' });
    assert.equal(await succeed('cat', [file]), await sum());
  });

  it('carry 1 GiB out, unchanged', async () => {
    const listener = `socat -u SYSTEM:'${bytes}' TCP-LISTEN:7000,bind=127.0.0.1`;
    await using stack = await serve(['sh', '-c', `${listener}; while :; do sleep 1000; done`], 7000, {
      publish: ['127.0.0.2:0:7000'],
    });
    const [published] = await stack.published();
    assert.equal(await shell(`socat -u TCP:127.0.0.2:${published?.port} - | sha256sum`), await sum());
    const counted = async () => (await stack.counters(published?.id ?? 0)).bytesOut;
    await waitFor(async () => (await counted()) >= size, { what: 'all bytes counted' });
    assert.equal(await counted(), size);
  });
});
