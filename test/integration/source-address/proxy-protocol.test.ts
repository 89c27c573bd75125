import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { far, near } from '../../setup/machine/far-machine.js';
import {
  hostAddresses,
  listensNow,
  openConnection,
  type RunningStack,
  run,
  startStack,
  tempDir,
  waitFor,
} from '../../support/index.js';
import { refuses, runWords } from '../../support/stacks/rootless-run.js';
import { type Conversation, converse, there } from '../../support/traffic/peers.js';

describe('the PROXY protocol', () => {
  let stack: RunningStack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack?.[Symbol.asyncDispose]());

  const hosts = ['127.0.0.1', '127.0.0.2', '::1', hostAddresses.v4, hostAddresses.v6].filter(
    (host) => host !== undefined,
  );

  /** What a server inside gets first, and the ends of the client's connection. */
  async function firstBytes(spec: string, host: string) {
    await using server = await stack.program('tcp-server', 'echo', '0.0.0.0', 80);
    const published = await stack.publish(spec);
    const socket = await openConnection(host, published.port);
    const ends = {
      client: socket.localAddress ?? '',
      clientPort: socket.localPort ?? 0,
      asked: host,
      port: published.port,
    };
    socket.write('hello');
    await waitFor(() => socket.readableLength >= 5 && socket.readableLength > 20, { what: 'the head and the data' });
    const data = socket.read() as Buffer;
    socket.destroy();
    await stack.ctl('remove-ports', String(published.id));
    await server.stop();
    return { data, ends };
  }

  for (const host of hosts) {
    it(`version 1 carries the client's address in text (${host})`, async () => {
      const { data, ends } = await firstBytes('0:80/tcp+proxy1', host);
      const family = host.includes(':') ? 'TCP6' : 'TCP4';
      const head = `PROXY ${family} ${ends.client} ${ends.asked} ${ends.clientPort} ${ends.port}\r\n`;
      assert.equal(data.toString(), `${head}hello`);
    });

    it(`version 2 carries it in bytes (${host})`, async () => {
      const { data, ends } = await firstBytes('0:80/tcp+proxy2', host);
      const v6 = host.includes(':');
      const length = v6 ? 36 : 12;
      assert.equal(data.subarray(0, 12).toString('latin1'), '\r\n\r\n\0\r\nQUIT\n');
      assert.deepEqual([...data.subarray(12, 16)], [0x21, v6 ? 0x21 : 0x11, 0, length]);
      const ports = data.subarray(16 + length - 4, 16 + length);
      assert.deepEqual([ports.readUInt16BE(0), ports.readUInt16BE(2)], [ends.clientPort, ends.port]);
      if (!v6) {
        assert.equal([...data.subarray(16, 20)].join('.'), ends.client);
        assert.equal([...data.subarray(20, 24)].join('.'), ends.asked);
      }
      assert.equal(data.subarray(16 + length).toString(), 'hello');
    });
  }

  it('is shown as requested, and refused if it does not fit', async () => {
    const published = await stack.publish('127.0.0.1:0:80/tcp+proxy2');
    assert.equal((await stack.report(published.id)).spec.proxyProtocol, 2);
    const events = await stack.ctl('list-ports', '--json');
    assert.match(events.stdout, /"proxyProtocol":2/);
    await refuses(runWords('--net=none', '-p', '127.0.0.1:0:80/udp+proxy1', 'true'), /the PROXY protocol is for TCP/);
    await refuses(
      runWords('--net=none', '-p', '127.0.0.1:0:80/tcp+proxy3', 'true'),
      /unknown option "\+proxy3"; known are \+proxy1 and \+proxy2/,
    );
  });

  it('is understood by nginx', async () => {
    const conf = `daemon off; pid /dev/null; error_log stderr; events {}
      http { access_log off; client_body_temp_path /tmp/c; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
        uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
        server { listen 127.0.0.1:81 proxy_protocol; return 200 "$proxy_protocol_addr\n"; } }`;
    await using _nginx = await stack.inside(
      ['sh', '-c', 'printf %s "$1" > /etc/nginx.conf.test; exec nginx -e stderr -c /etc/nginx.conf.test', 'sh', conf],
      {
        check: async () => (await stack.enter('sh', '-c', 'grep -q ":0051 .* 0A " /proc/net/tcp')).code === 0,
      },
    );
    for (const version of [1, 2]) {
      const { port } = await stack.publish(`0:81/tcp+proxy${version}`);
      for (const host of hosts.filter((host) => !host.includes(':'))) {
        const { stdout } = await run('curl', ['-sS', `http://${host}:${port}/`]);
        const client = host.startsWith('127.') ? '127.0.0.1' : host;
        assert.equal(stdout, `${client}\n`);
      }
    }
  });

  const machine = there;
  if (machine) {
    it('has nginx write the addresses of clients on another machine to its log', async () => {
      // Without it the connections themselves would show it.
      await using hiding = await startStack({ args: ['--net=none', '--source-ip-transparent=false'] });
      const directory = tempDir();
      const log = join(directory, 'log');
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      writeFileSync(
        join(directory, 'nginx.conf'),
        `user root root; pid ${directory}/pid; events {}
         http {
           ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
           log_format clients "$remote_addr $proxy_protocol_port $request_uri through $realip_remote_addr";
           access_log ${log} clients;
           real_ip_header proxy_protocol; set_real_ip_from 127.0.0.0/8; set_real_ip_from ::1;
           server { listen 127.0.0.1:81 proxy_protocol; listen [::1]:81 proxy_protocol; return 200 "here\n"; }
         }`,
      );
      const command = ['nginx', '-e', 'stderr', '-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'];
      await using _nginx = await hiding.inside(command, { check: () => listensNow(hiding.childPid, 81) });
      const talks: Conversation[] = [];
      for (const version of [1, 2]) {
        const { port } = await hiding.publish(`0:81/tcp+proxy${version}`);
        for (const family of ['v4', 'v6'] as const) {
          for (const from of far[family]) {
            const steps: Conversation['steps'] = [['send', `GET /${version} HTTP/1.0\r\n\r\n`], ['drain']];
            talks.push({ host: near[family], port, from, steps });
          }
        }
      }
      const ends = await converse(machine, ...talks);
      const lines = () => readFileSync(log, 'utf8').trim().split('\n');
      await waitFor(() => lines().length === talks.length, { what: 'the lines of all clients' });
      const expected = ends.map(({ data, own }, i) => {
        assert.match(data, /^HTTP\/1.1 200 OK/);
        const loopback = own.includes(':') ? '::1' : '127.0.0.1';
        return `${own} /${i < talks.length / 2 ? 1 : 2} through ${loopback}`;
      });
      assert.deepEqual(lines().sort(), expected.sort());
    });
  }
});
