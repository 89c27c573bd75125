import assert from 'node:assert/strict';
import type { TraceReport } from '../../../protocol/api/trace.js';
import { type RunningStack, startStack } from '../../support/index.js';

describe('rootlessctl trace', function () {
  this.timeout(60_000);
  let stack: RunningStack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack[Symbol.asyncDispose]());

  const trace = async (address: string) => {
    const { code, stdout } = await stack.ctl('trace', '--json', address);
    const report = JSON.parse(stdout) as TraceReport;
    assert.equal(code, report.answers ? 0 : 1, 'the exit code');
    return report;
  };
  const steps = ({ steps: all }: TraceReport) =>
    all.map(({ step, ok, address, error }) => [address ?? step, ok ? 'ok' : (error ?? 'failed')].join(' '));

  it('follows a connection to the server, address by address', async () => {
    const { id, port } = await stack.publish('127.0.0.2:0:8080');
    await using server = await stack.program('tcp-server', 'echo', '127.0.0.1', 8080);
    assert.notEqual(server, undefined);
    const report = await trace(`127.0.0.2:${port}`);
    assert.deepEqual([report.address, report.port, report.answers], [`127.0.0.2:${port}/tcp`, id, true]);
    assert.deepEqual(steps(report), [
      'port ok',
      'listener ok',
      'agent ok',
      '127.0.0.2:8080 ECONNREFUSED',
      '127.0.0.1:8080 ok',
      'source ok',
    ]);
    assert.equal((await stack.counters(id)).opened, 0, 'no connection went through the port');
  });

  it('says where the server listens instead, and that there is none', async () => {
    const { port } = await stack.publish('127.0.0.1:0:8081');
    const { hint: nobody, ...report } = await trace(`127.0.0.1:${port}`);
    assert.deepEqual(steps(report), [
      'port ok',
      'listener ok',
      'agent ok',
      '127.0.0.1:8081 ECONNREFUSED',
      '[::1]:8081 ECONNREFUSED',
    ]);
    assert.match(nobody ?? '', /^no program inside listens on tcp port 8081: start the server/);
    await using server = await stack.program('tcp-server', 'echo', '127.0.0.9', 8081);
    assert.notEqual(server, undefined);
    const { hint } = await trace(`127.0.0.1:${port}`);
    assert.match(hint ?? '', /listening on 127\.0\.0\.9:8081, .* publish 127\.0\.0\.1:\d+:127\.0\.0\.9:8081\/tcp$/);
  });

  it('sends nothing to UDP servers', async () => {
    const { id, port } = await stack.publish('127.0.0.1:0:8082/udp');
    assert.deepEqual(steps(await trace(`localhost:${port}/udp`)).slice(-1), ['[::1]:8082 ECONNREFUSED']);
    await using server = await stack.program('udp-server', 'echo', '0.0.0.0', 8082);
    assert.notEqual(server, undefined);
    assert.equal((await trace(`localhost:${port}/udp`)).answers, true);
    assert.equal((await stack.counters(id)).bytesIn, 0);
  });

  it('prints steps, result and hint for people', async () => {
    const { port } = await stack.publish('127.0.0.1:0:8083');
    const { code, stdout } = await stack.ctl('trace', `${port}`);
    assert.equal(code, 1);
    const lines = stdout.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^ok +port +\d+: 127\.0\.0\.1:\d+\/tcp leads to port 8083$/);
    assert.match(lines[3] ?? '', /^FAILED +127\.0\.0\.1:8083 +connection refused: no program listens on it$/);
    assert.match(lines.at(-2) ?? '', /^result: 127\.0\.0\.1:\d+\/tcp does not answer$/);
    assert.match(lines.at(-1) ?? '', /^hint: /);
  });

  it('names what is published nearby', async () => {
    const { port } = await stack.publish('127.0.0.1:0:8084');
    const { steps: all, hint } = await trace(`127.0.0.7:${port}`);
    assert.deepEqual(
      all.map(({ text }) => text),
      ['no port of this stack is published there'],
    );
    assert.match(
      hint ?? '',
      new RegExp(`^published are 127\\.0\\.0\\.1:${port}:8084/tcp; .*add-ports 127\\.0\\.0\\.7:${port}:PORT/tcp$`),
    );
  });

  it('refuses what is no address', async () => {
    const { code, stderr, stdout } = await stack.ctl('trace', '127.0.0.1');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^error: invalid address "127.0.0.1": .*; expected \[address:\]port\[\/tcp\|udp\]/);
    await assert.rejects(stack.api.trace('nonsense'), { httpStatus: 400, code: 'invalid-address' });
  });
});
