import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { TopReport } from '../../../bin/ctl/top/sample.js';
import { binPath, echo, freePort, type RunningStack, run, start, startStack, waitFor } from '../../support/index.js';
import { readExposition } from '../../support/observation/exposition.js';
import { runInTerminal } from '../../support/terminal.js';

/** Status and body of a request with that Host. */
async function get(port: number, path: string, host = `127.0.0.1:${port}`, method = 'GET') {
  const sent = request({ host: '127.0.0.1', port, path, method, headers: { host }, agent: false }).end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode as number, text, type: response.headers['content-type'] as string };
}

describe('a stack that is looked at', function () {
  this.timeout(60_000);
  let stack: RunningStack;
  let metricsPort: number;
  before(async () => {
    metricsPort = await freePort('127.0.0.1');
    const args = ['--net=none', `--metrics=127.0.0.1:${metricsPort}`, '--log-format=json', '--log-level=debug'];
    stack = await startStack({ args });
  });
  after(() => stack[Symbol.asyncDispose]());

  it('shows connections, rates and counters, and why connections were refused', async () => {
    const { id, port } = await stack.publish('127.0.0.1:0:8080');
    const refused = connect(port, '127.0.0.1');
    await once(refused, 'close').catch(() => {});
    await using server = await stack.program('tcp-server', 'echo', '127.0.0.1', 8080);
    assert.notEqual(server, undefined);
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      await echo(socket, 'hello');
      const { stdout } = await stack.ctl('connections');
      const [header, line] = stdout.split('\n').map((text) => text.trimEnd());
      assert.match(header ?? '', /^PROTO +FROM +TO +VIA +AGE +SENT +RECEIVED +STATE +SOURCE ADDRESS$/);
      assert.match(
        line ?? '',
        new RegExp(
          `^tcp +127\\.0\\.0\\.1:${socket.localPort} +(\\S+\\[\\d+\\] )?:8080 +127\\.0\\.0\\.1:${port} +\\d+s +5B +5B +open$`,
        ),
      );

      const top = JSON.parse(
        (await stack.ctl('top', '--json', '--once', '--interval=0.1')).stdout.split('\n')[0] ?? '',
      ) as TopReport;
      const { in: _, out: __, ...row } = top.ports[0] ?? assert.fail('no port');
      const mapping = `127.0.0.1:${port}:8080/tcp`;
      assert.deepEqual(row, {
        id,
        port: mapping,
        container: '',
        open: 1,
        bytesIn: 5,
        bytesOut: 5,
        refused: 1,
        state: '',
      });
      assert.deepEqual(top.connections, { in: 1, out: 0 });

      const metrics = readExposition((await get(metricsPort, '/metrics')).text);
      const labels = { port: `127.0.0.1:${port}/tcp`, container: '' };
      const of = (name: string) => metrics.get(`rootless_net_${name}`)?.samples;
      assert.deepEqual(of('port_connections'), [{ labels, value: 1 }]);
      assert.deepEqual(of('port_bytes_total')?.[0], { labels: { ...labels, direction: 'in' }, value: 5 });
      assert.deepEqual(of('port_refused_total')?.[0], { labels: { ...labels, reason: 'no-server' }, value: 1 });
      assert.equal((await stack.report(id)).refusals?.['no-server'], 1);
    } finally {
      socket.destroy();
    }
  });

  it('fills a terminal with top until q is pressed, and restores it', async () => {
    const command = [binPath('rootlessctl'), `--socket=${stack.api.socketPath}`, 'top', '--interval=0.1'];
    const { code, output } = await runInTerminal(command, [
      ['connections: ', { columns: 40, rows: 6 }],
      ['CONTAINER', 'q'],
    ]);
    assert.equal(code, 0);
    const [before, shown, after] = [
      output.indexOf('\x1b[?1049h'),
      output.search(/PORT +CONTAINER/),
      output.indexOf('\x1b[?1049l'),
    ];
    assert.ok(before >= 0 && before < shown && shown < after, 'on the alternate screen');
    assert.ok(output.endsWith('\x1b[?25h\x1b[?1049l'), 'the cursor is back');
  });

  it('ends top when it ends', async () => {
    await using other = await startStack({ args: ['--net=none'] });
    const words = [`--socket=${other.api.socketPath}`, 'top', '--interval=0.1'];
    await using top = await start(binPath('rootlessctl'), words, { ready: { output: /connections: / } });
    await other.started.stop();
    assert.equal((await top.ended).code, 0, top.output());
    assert.match(top.output(), /\nthe stack has ended\n$/);
  });

  it('prints top once where there is no terminal', async () => {
    const { stdout, code } = await stack.ctl('top', '--interval=0.1', '--once');
    assert.equal(code, 0);
    assert.match(stdout, /^\S+ - connections: \d+ in, \d+ out - in \S+\/s, out \S+\/s\n\nPORT +CONTAINER +OPEN +IN\/S/);
    for (const wrong of ['0', '1e3', '99999']) {
      assert.match((await stack.ctl('top', `--interval=${wrong}`)).stderr, /^error: invalid --interval/);
    }
  });

  it('serves metrics to addresses of this host only', async () => {
    const { status, type } = await get(metricsPort, '/metrics');
    assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
    assert.equal((await get(metricsPort, '/metrics', `localhost:${metricsPort}`)).status, 200);
    assert.equal((await get(metricsPort, '/metrics', `evil.example:${metricsPort}`)).status, 403);
    assert.equal((await get(metricsPort, '/metrics', '127.0.0.1:1')).status, 403);
    assert.equal((await get(metricsPort, '/v1/ports')).status, 404);
    assert.equal((await get(metricsPort, '/metrics', undefined, 'POST')).status, 405);
  });

  it('logs JSON lines', async () => {
    await waitFor(() => /namespaces are up/.test(stack.started.output()), { what: 'a debug message' });
    for (const line of stack.started.output().trimEnd().split('\n')) {
      const { time, level, msg, ...more } = JSON.parse(line);
      assert.deepEqual(more, {});
      assert.match(level, /^(debug|info|warn|error)$/);
      assert.ok(Number.isFinite(Date.parse(time)) && typeof msg === 'string');
    }
  });

  it('is not started where the address of metrics is taken', async () => {
    const words = [`--metrics=127.0.0.1:${metricsPort}`, '--net=none', '--', 'true'];
    const { code, stderr } = await run(binPath('rootless-run'), words);
    assert.deepEqual(
      [code, stderr],
      [
        125,
        `rootless-run: error: cannot serve metrics at 127.0.0.1:${metricsPort}: address already in use; stop what listens there (ss -lntup shows it), or choose another port\n`,
      ],
    );
  });
});
