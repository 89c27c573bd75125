import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Published, type RunningStack, startStack, tempDir, waitFor } from '../../../support/index.js';
import { args, isBypassed, listeners, succeed } from './common.js';

/** A stack whose command is a server that has its published port itself; the first, where there are several. */
async function serve(
  command: readonly string[],
  publish: readonly string[],
): Promise<{ stack: RunningStack; ports: Published[] }> {
  const stack = await startStack({ args, publish, command });
  try {
    await isBypassed(stack, 1);
    return { stack, ports: await stack.published() };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw new Error(`the port is not bypassed; its output:\n${stack.started.output()}`, { cause: error });
  }
}

describe('port driver bypass, servers as people run them', () => {
  const nginx = () => {
    const directory = tempDir();
    mkdirSync(join(directory, 'www'));
    writeFileSync(join(directory, 'www', 'index.html'), 'the page');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    writeFileSync(
      join(directory, 'nginx.conf'),
      `user root root; worker_processes 2; pid ${directory}/pid; events {}
       http {
         access_log off;
         ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
         server { listen 80; root ${directory}/www; }
       }`,
    );
    return ['nginx', '-e', 'stderr', '-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'];
  };
  const page = async (port: number) =>
    assert.equal(await succeed('curl', '--silent', '--fail', `http://127.0.0.2:${port}/`), 'the page');
  const cases: [
    name: string,
    command: () => readonly string[],
    inside: number,
    use: (port: number) => Promise<void>,
  ][] = [
    ['nginx', nginx, 80, page],
    [
      'redis-server',
      () => ['redis-server', '--port', '6379', '--bind', '127.0.0.1', '--save', '', '--dir', tempDir()],
      6379,
      async (port) => {
        const to = ['-h', '127.0.0.2', '-p', String(port)];
        assert.equal(await succeed('redis-cli', ...to, 'set', 'key', 'value'), 'OK\n');
        assert.equal(await succeed('redis-cli', ...to, 'get', 'key'), 'value\n');
        await succeed('redis-benchmark', ...to, '-n', '2000', '-c', '50', '-t', 'set,get', '-q');
      },
    ],
    [
      'iperf3',
      () => ['iperf3', '-s', '-p', '5201'],
      5201,
      async (port) => {
        for (const way of [[], ['-R'], ['-P', '3']]) {
          const client = ['-c', '127.0.0.2', '-p', String(port), '-n', '20M', '-J', ...way];
          // For a moment it is busy with the last client, and answers that in place of a result.
          const received = await waitFor(
            async () => JSON.parse(await succeed('iperf3', ...client)).end.sum_received?.bytes,
            { what: 'the server to have time' },
          );
          assert.ok(received > 1_000_000, `${received} bytes`);
        }
      },
    ],
    [
      'python3',
      () => {
        const directory = tempDir();
        writeFileSync(join(directory, 'index.html'), 'the page');
        return ['python3', '-m', 'http.server', '--directory', directory, '80'];
      },
      80,
      page,
    ],
    [
      'node',
      () => [
        process.execPath,
        '-e',
        `process.title = 'node'; require('node:http').createServer((_, r) => r.end('the page')).listen(80)`,
      ],
      80,
      page,
    ],
  ];

  for (const [name, command, inside, use] of cases) {
    it(`${name} has the host's address itself`, async () => {
      const { stack, ports } = await serve(command(), [`127.0.0.2:0:${inside}`]);
      await using _stack = stack;
      const [{ port } = { port: 0 }] = ports;
      await use(port);
      // Some listen anew after each client.
      const itself = new RegExp(`127\\.0\\.0\\.2\\]?:${port} .*"${name}"`);
      let sockets: string[] = [];
      await waitFor(
        async () => {
          sockets = await listeners(port);
          return sockets.length === 1 && itself.test(sockets[0] ?? '');
        },
        { what: `the one listener to be that of ${name}` },
      ).catch(() => assert.fail(sockets.join('\n')));
      await isBypassed(stack, 1);
      assert.equal((await stack.counters(1)).opened, 0, 'something was relayed');
      const { stdout } = await stack.ctl('list-ports');
      assert.match(stdout, /BYPASS *\n1 .* yes *\n/);
    });
  }
});
