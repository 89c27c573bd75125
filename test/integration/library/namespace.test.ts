import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import {
  ContainerStream,
  connectStack,
  createNamespace,
  ExpectedError,
  type Namespace,
  type NamespaceOptions,
  ProgramError,
} from '../../../parent/index.js';
import { freePort, isAlive, tcpRequest, waitFor } from '../../support/index.js';

const SERVER = ['-m', 'http.server', '80'];
/** Far longer than any test. */
const SLEEP = ['1000'];

/** Loopback only; a warning fails the test. */
function start(options: NamespaceOptions = {}): Promise<Namespace> {
  const warn = (line: string) => assert.fail(`warning: ${line}`);
  return createNamespace({ net: 'none', log: { warn }, ...options });
}

/** What a promise rejects with. */
async function failureOf(promise: PromiseLike<unknown>): Promise<ExpectedError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ExpectedError, `${error}`);
    return error;
  }
  return assert.fail('it did not fail');
}

describe('createNamespace()', () => {
  let ns: Namespace;
  before(async () => {
    ns = await start({ name: 'library-test' });
  });
  after(() => ns.close());

  it('publishes a port, which is ready when a server inside answers', async () => {
    const hostPort = await freePort('127.0.0.2');
    await using port = await ns.publish(`127.0.0.2:${hostPort}:80`);
    await using _server = ns.run('python3', SERVER);
    await port.ready({ signal: AbortSignal.timeout(8000) });
    assert.equal(port.url, `http://127.0.0.2:${hostPort}`);
    const response = await fetch(port.url);
    await response.text();
    assert.equal(response.status, 200);
    const { opened } = await port.counters();
    assert.ok(opened >= 2, `${opened} connections`);
    assert.deepEqual(await port.state(), { state: 'listening' });
    await port.close();
    assert.deepEqual(await ns.ports(), []);
    assert.equal((await failureOf(port.counters())).code, 'no-such-port');
  });

  it('publishes any free port of 127.0.0.1 for an object, and UDP that is ready with a socket', async () => {
    await using tcp = await ns.publish({ targetPort: 80 });
    assert.equal(tcp.host, '127.0.0.1');
    assert.ok(tcp.port > 0);
    await using udp = await ns.publish({ protocol: 'udp', targetPort: 53 });
    const bind =
      'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 53)); time.sleep(60)';
    await using _server = ns.run('python3', ['-c', bind]);
    await udp.ready({ signal: AbortSignal.timeout(8000) });
    assert.equal(udp.url, `udp://127.0.0.1:${udp.port}`);
  });

  it('rejects ready() when its signal aborts, and when the port is closed', async () => {
    const port = await ns.publish({ targetPort: 81 });
    const abort = new AbortController();
    const waiting = assert.rejects(port.ready({ signal: abort.signal }), /enough/);
    abort.abort(new Error('enough'));
    await waiting;
    const other = assert.rejects(port.ready(), { code: 'no-such-port' });
    await port.close();
    await other;
  });

  it('reports invalid and taken ports with their codes', async () => {
    assert.equal((await failureOf(ns.publish('80'))).code, 'invalid-port');
    const unknown = await failureOf(ns.publish({ targetPort: 80, hostname: 'x' } as { targetPort: number }));
    assert.match(unknown.message, /unknown option hostname/);
    await using port = await ns.publish({ targetPort: 80 });
    assert.equal((await failureOf(ns.publish({ targetPort: 80, port: port.port }))).code, 'port-conflict');
  });

  it('yields events of the wanted types', async () => {
    await using events = ns.events({ type: ['port-added', 'connection-refused'] });
    await events.started;
    await using port = await ns.publish({ targetPort: 82 });
    await tcpRequest(port.host, port.port, '').catch(() => {});
    const seen: string[] = [];
    for await (const event of events) {
      seen.push(event.type);
      if (event.type === 'connection-refused') {
        assert.equal(event.port, port.id);
        break;
      }
    }
    assert.deepEqual(seen, ['port-added', 'connection-refused']);
  });

  it('runs programs with their directory, environment, input and output', async () => {
    const script = 'echo $0 $V; env | grep -c ^HOME= >&2; cat; pwd; ip -o link | wc -l';
    const { exitCode, stdout, stderr } = await ns.run('sh', ['-c', script, 'a b'], {
      cwd: '/tmp',
      env: { V: '1', HOME: undefined },
      input: 'in\n',
    });
    assert.deepEqual([exitCode, stdout, stderr], [0, 'a b 1\nin\n/tmp\n1', '0']);
    const alone = await ns.run('/usr/bin/env', [], { extendEnv: false, env: { ONLY: '' } });
    assert.equal(alone.stdout, 'ONLY=');
    const many = Array.from({ length: 20_000 }, (_, index) => `word${index}`);
    assert.equal((await ns.run('sh', ['-c', 'echo $#', 'sh', ...many])).stdout, '20000');
    const lines: string[] = [];
    for await (const line of ns.run('seq', ['3'])) lines.push(line);
    assert.deepEqual(lines, ['1', '2', '3']);
    await using cat = ns.run('cat');
    const stream = cat.duplex();
    stream.end('both ways');
    assert.equal(await text(stream), 'both ways');
    const { stdout: cut, truncated } = await ns.run('seq', ['100000'], { maxBuffer: 10 });
    assert.deepEqual([cut, truncated], ['1\n2\n3\n4\n5', true]);
  });

  it('rejects with how a program failed', async () => {
    const failed = await failureOf(ns.run('sh', ['-c', 'echo out; exit 3']));
    assert.ok(failed instanceof ProgramError);
    assert.deepEqual([failed.code, failed.exitCode, failed.stdout], ['program-failed', 3, 'out']);
    assert.equal((await ns.run('false', [], { reject: false })).failed, true);
    const abort = new AbortController();
    const sleeping = ns.run('sleep', SLEEP, { cancelSignal: abort.signal });
    await sleeping.started;
    abort.abort();
    assert.equal((await failureOf(sleeping)).code, 'canceled');
    const stubborn = ns.run('sh', ['-c', 'trap "" TERM; echo on; while :; do sleep 0.1; done'], {
      forceKillAfterDelay: 50,
    });
    for await (const line of stubborn) if (line === 'on') break;
    await stubborn[Symbol.asyncDispose]();
    assert.equal((await failureOf(stubborn)).message, 'sh was ended by SIGKILL');
    assert.equal((await failureOf(ns.run('sleep', SLEEP, { timeout: 50 }))).code, 'timed-out');
    assert.equal((await failureOf(ns.run('no-such-program'))).code, 'command-not-found');
    assert.equal((await failureOf(ns.run(''))).code, 'command-not-found');
    assert.match((await failureOf(ns.run('true', [], { cwd: '/missing' }))).message, /\/missing: no such file/);
    assert.match(
      (await failureOf(ns.run('true', [], { cwd: `/${'x'.repeat(200_000)}` }))).message,
      /name is too long$/,
    );
    assert.match(
      (await failureOf(ns.run('true', ['x'.repeat(200_000)]))).message,
      /^cannot execute true: its arguments/,
    );
    assert.match((await failureOf(ns.run('true', [], { stdio: [0, 1, 999] }))).message, /descriptor 999/);
    const canceled = { cancelSignal: AbortSignal.abort(), reject: false };
    assert.equal((await ns.run('true', [], canceled)).canceled, true);
  });

  it('ends loops over lines with their programs, which go on when a loop is left', async () => {
    const many = ns.run('sh', ['-c', 'yes | head -n 500000']);
    for await (const line of many) if (line === 'y') break;
    assert.equal((await many).exitCode, 0);
    const loop = async (command: string, args: readonly string[] = []) => {
      for await (const line of ns.run(command, args)) assert.equal(line, 'one');
    };
    assert.equal((await failureOf(loop('sh', ['-c', 'echo one; exit 3']))).message, 'sh exited with code 3');
    assert.equal((await failureOf(loop('no-such-program'))).code, 'command-not-found');
  });

  it('is found by its name, and has the same face there', async () => {
    const other = await connectStack('library-test');
    assert.equal((await other.info()).name, 'library-test');
    const { stdout, exitCode } = await other.run('sh', ['-c', 'cat; echo $V; exit 3'], {
      env: { V: 'set' },
      input: 'in ',
      reject: false,
    });
    assert.deepEqual([stdout, exitCode], ['in set', 3]);
    const large = await other.run('sh', ['-c', 'head -c 3000000 /dev/zero | tr "\\0" x']);
    assert.equal(large.stdout.length, 3_000_000);
    const input = 'x'.repeat(5_000_000);
    assert.equal((await other.run('wc', ['-c'], { input })).stdout, '5000000');
    const missing = other.run('no-such-program');
    assert.equal((await failureOf(missing.started)).code, 'command-not-found');
    assert.equal((await failureOf(missing)).code, 'command-not-found');
    const port = await other.publish({ targetPort: 80 });
    const sleeping = other.run('sleep', SLEEP);
    await sleeping.started;
    assert.equal((await ns.ports()).length, 1);
    await other.close();
    assert.deepEqual(await ns.ports(), [], `port ${port.id} was made through the connection`);
    assert.equal((await sleeping.catch((error: unknown) => error as ProgramError)).exitCode, 128 + 15);
    assert.equal((await ns.info()).name, 'library-test', 'it goes on');
  });

  it('refuses requests for programs that are invalid, and ends a program whose client is gone', async () => {
    const ask = (request: object) => ContainerStream.open(ns.socketPath, '/v1/programs', request);
    const wrong: [request: object, message: RegExp][] = [
      [{ command: [] }, /command: the command is empty/],
      [{ command: ['true'], nonsense: 1 }, /unknown key "nonsense"/],
      [{ command: ['true'], cwd: 'tmp' }, /cwd: it is not an absolute path/],
      [{ command: ['true'], env: { 'A=B': '' } }, /env/],
      [{ command: ['a\0b'] }, /NUL/],
      [[], /object/],
    ];
    for (const [request, message] of wrong) {
      const { exit } = await ask(request);
      const error = await failureOf(exit);
      assert.equal(error.code, 'invalid');
      assert.match(error.message, message);
    }
    const large = await ask({ command: ['true', 'x'.repeat(5_000_000)] });
    assert.equal((await failureOf(large.exit)).httpStatus, 413);
    const stream = await ask({ command: ['sh', '-c', 'echo $$; exec sleep 1000'] });
    const pid = await new Promise<number>((resolve) => stream.listen((_, data) => resolve(Number(data.toString()))));
    assert.ok(isAlive(pid));
    stream.close();
    await waitFor(() => !isAlive(pid), { what: 'the end of the program' });
  });

  it('does not start programs for programs inside', async () => {
    const script = `
      import base64, os, socket
      s = socket.socket(socket.AF_UNIX)
      s.connect(os.environ["ROOTLESSKIT_STATE_DIR"] + "/api.sock")
      s.send(b"GET /v1/programs HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
             b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")
      print(s.recv(1000).decode().split("\\r\\n")[0])
    `.replaceAll('\n      ', '\n');
    assert.match((await ns.run('python3', ['-c', script])).stdout, /^HTTP\/1\.1 403/);
  });
});

describe('namespaces of one program', () => {
  it('have the same port each, and end with all that runs in them', async () => {
    const made = await Promise.all([start({ namespaces: ['pid'] }), start()]);
    const ports = await Promise.all(
      made.map((ns, index) => ns.publish({ host: `127.0.0.${index + 2}`, targetPort: 80 })),
    );
    const servers = made.map((ns) => ns.run('python3', SERVER));
    await Promise.all(ports.map((port) => port.ready({ signal: AbortSignal.timeout(8000) })));
    const daemon = await made[1]?.run('sh', ['-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!']);
    const pid = Number(daemon?.stdout);
    assert.ok(isAlive(pid));
    const directories = await Promise.all(made.map(async (ns) => (await ns.info()).stateDir));
    await Promise.all(made.map((ns) => ns.close()));
    assert.ok(!isAlive(pid), 'the daemon is left');
    for (const directory of directories) assert.ok(!existsSync(directory), directory);
    for (const server of servers) assert.equal((await failureOf(server)).message, 'python3 was ended by SIGKILL');
    for (const ns of made) assert.equal((await failureOf(ns.info())).code, 'no-stack');
  });

  it('end when their signal aborts, at any time', async () => {
    const early = new AbortController();
    const starting = start({ signal: early.signal });
    early.abort(new Error('early'));
    await assert.rejects(starting, /early/);
    const late = new AbortController();
    const ns = await start({ signal: late.signal });
    const sleeping = ns.run('sleep', SLEEP);
    await sleeping.started;
    late.abort();
    await assert.rejects(Promise.resolve(sleeping));
    await ns.close();
    await assert.rejects(start({ signal: late.signal }), { name: 'AbortError' });
  });

  it('refuse options that are unknown or invalid, by their names', async () => {
    const cases: [options: object, code: string, message: RegExp][] = [
      [{ nett: 'none' }, 'invalid-option', /^unknown option nett: there are name, /],
      [{ net: 'fast' }, 'invalid-option', /^invalid net "fast": expected one of auto, builtin/],
      [{ mtu: -1 }, 'invalid-option', /^invalid mtu -1: expected a whole number/],
      [{ publish: ['80'] }, 'invalid-port', /^invalid port "80"/],
      [{ publish: '8080:80' }, 'invalid-option', /^invalid publish/],
      [{ name: '1' }, 'usage', /name/],
      [{ allow: ['a b'] }, 'invalid-rule', /a b/],
      [{ net: 'none', allow: ['example.com'] }, 'network', /none has no --allow/],
      [{ portDriver: 'none', publish: ['8080:80'] }, 'usage', /port driver "none"/],
      [{ containers: { dataDir: '/tmp' } }, 'invalid-option', /^invalid containers .*confDir/],
    ];
    for (const [options, code, message] of cases) {
      const error = await failureOf(createNamespace(options)).catch(() => assert.fail(JSON.stringify(options)));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
    }
    const none = await failureOf(connectStack('no-such-stack'));
    assert.match(none.message, /no running stack "no-such-stack"/);
  });
});
