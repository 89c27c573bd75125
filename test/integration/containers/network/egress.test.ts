import assert from 'node:assert/strict';
import { tempDir, waitFor } from '../../../support/index.js';
import { type KernelFeature, without } from '../../../support/kernel.js';
import {
  addressOf,
  busyboxRootfs,
  type ContainerStack,
  execIn,
  HOST_PROGRAMS,
  IDLE,
  kill,
  startContainerStack,
  WEB,
} from '../../../support/stacks/containers.js';
import { onInternet, SITES, withNames } from '../../../support/stacks/internet.js';
import { withContainerStack, withStack } from '../../../support/stacks/with-stack.js';

const { open, server } = SITES[4];
const NAMES = { 'allowed.test': [`A ${open}`], 'other.test': [`A ${open}`] };

/** A stack on a host whose resolver knows these names. */
function start(home = tempDir(), lacking: readonly KernelFeature[] = []): Promise<ContainerStack> {
  const wrapper = [...onInternet(tempDir(), withNames(NAMES)), ...without(lacking, { nested: true })];
  return startContainerStack({ args: ['--net=builtin'], wrapper, home });
}

const TRY = `
import errno, socket, sys
def reach(host, port, source=None, patience=5):
    try:
        with socket.create_connection((host, port), patience, (source, 0) if source else None) as c:
            c.sendall(b'GET / HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' % host.encode())
            return 'reached' if c.recv(100) else 'closed'
    except socket.gaierror: return 'no such name'
    except TimeoutError: return 'nothing'
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
`;

const OUT = ["reach('allowed.test', 80)", "reach('other.test', 80)", `reach('${server}', 7)`];
const DENIED = ['reached', 'no such name', 'EHOSTUNREACH'];

describe('egress policies of containers', () => {
  const stack = withStack(() => start());
  /** What a program in that container gets, for each call of reach(). */
  const results = async (name: string, ...calls: string[]): Promise<string[]> =>
    (await execIn(stack, name, 'python3', '-c', `${TRY}\n${calls.map((call) => `print(${call})`).join('\n')}`))
      .trimEnd()
      .split('\n');
  const create = (name: string, command: readonly string[], ...options: string[]) =>
    stack.must(
      ...['run', '-d', '--name', name, ...HOST_PROGRAMS.flatMap((mount) => ['-v', mount]), ...options],
      ...['--rootfs', busyboxRootfs(), '--', ...command],
    );

  before(async () => {
    await create('free', WEB);
    await create('db', WEB);
    await create('app', WEB, '--allow', 'allowed.test', '--allow', 'tcp:db:80', '--cap-add', 'NET_ADMIN');
    await waitFor(async () => (await results('free', "reach('db', 80)"))[0] === 'reached', { what: 'the web server' });
  });

  it('allow what their rules list, and hold for nobody else', async () => {
    assert.deepEqual(await results('app', ...OUT), DENIED);
    assert.deepEqual(await results('free', ...OUT), ['reached', 'reached', 'reached']);
  });

  it('close other containers, the bridge and the stack, but for those that are named', async () => {
    const gateway = addressOf(await stack.containers.inspect('app')).replace(/\d+$/, '1');
    const others = ["'db', 81", "'free', 80", `'${gateway}', 80`, "'10.0.2.100', 80"];
    assert.deepEqual(await results('app', "reach('db', 80)", ...others.map((to) => `reach(${to})`)), [
      'reached',
      'EHOSTUNREACH',
      'EHOSTUNREACH',
      'EHOSTUNREACH',
      'EHOSTUNREACH',
    ]);
    // It may be a server of others.
    assert.deepEqual(await results('free', "reach('app', 80)"), ['reached']);
  });

  it('are reported with the name of the container', async () => {
    await results('app', ...OUT);
    const { output } = stack.started;
    await waitFor(() => /egress denied: container app: the name other\.test: no rule allows it/.test(output()), {
      what: 'a line of the log',
    });
    const table = await stack.must('egress', 'ls', 'app');
    assert.match(table, /^RULE +ALLOWED +DENIED +NAMES\s*\nallow allowed\.test +[1-9]/);
    assert.match(table, /^deny \(default\) +0 +[1-9]\d* +[1-9]/m);
  });

  it('hold for a container that changes its address, whatever it is root of', async () => {
    const free = addressOf(await stack.containers.inspect('free'));
    const unused = free.replace(/\d+$/, '77');
    for (const address of [unused, free]) {
      await execIn(stack, 'app', 'ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      assert.deepEqual(await results('app', `reach('${server}', 7, '${address}', 1)`, `reach('${server}', 7)`), [
        'nothing',
        'EHOSTUNREACH',
      ]);
      await execIn(stack, 'app', 'ip', 'addr', 'del', `${address}/24`, 'dev', 'eth0');
    }
    // Nor does another MAC address help.
    const { mac } = (await stack.containers.inspect('app')).attachments[0] ?? assert.fail('no interface');
    await execIn(stack, 'app', 'sh', '-c', 'ip link set eth0 address 02:00:00:00:00:77');
    assert.deepEqual(await results('app', `reach('${open}', 80, None, 1)`), ['nothing']);
    await execIn(stack, 'app', 'ip', 'link', 'set', 'eth0', 'address', mac);
    const gateway = free.replace(/\d+$/, '1');
    await execIn(stack, 'app', 'sh', '-c', `ip route replace default via ${gateway}`);
    assert.deepEqual(await results('app', ...OUT), DENIED);
  });

  it('hold without the agent, and after it is replaced', async () => {
    const denied = async () =>
      assert.deepEqual(await results('app', "reach('allowed.test', 80)", `reach('${server}', 7)`), [
        'reached',
        'EHOSTUNREACH',
      ]);
    const pid = (await stack.containers.inspect('app')).pid;
    const inside = ['nsenter', `--net=/proc/${pid}/ns/net`, 'python3', '-c', `${TRY}\nprint(reach('${server}', 7))`];
    for (const agent of stack.agents()) kill(agent);
    assert.equal((await stack.enter(inside)).stdout, 'EHOSTUNREACH\n');
    await stack.settled();
    await denied();
    assert.deepEqual(await results('app', "reach('db', 80)", "reach('free', 80)"), ['reached', 'EHOSTUNREACH']);
  });

  it('change while the container runs', async () => {
    await stack.must('egress', 'allow', 'app', 'other.test');
    assert.deepEqual(await results('app', "reach('other.test', 80)"), ['reached']);
    await stack.must('egress', 'rm', 'app', 'allow', 'other.test');
    assert.deepEqual(await results('app', "reach('other.test', 80)"), ['no such name']);
    await stack.must('egress', 'allow', 'free', 'allowed.test');
    assert.deepEqual(await results('free', ...OUT), DENIED);
    const { stderr } = await stack.net('egress', 'rm', 'free', 'allow', 'allowed.test');
    assert.match(stderr, /^error: without its last rule that allows, .*hint: add "allow @none" first/);
  });

  it('leave containers reachable over IPv6, and let them reach what is allowed', async () => {
    await stack.must('network', 'create', '--ipv6', 'six');
    await create('server', WEB, '--net', 'six');
    await create('client', WEB, '--net', 'six', '--allow', 'tcp:fd00::/8');
    const ask = async (from: string, to: string) =>
      results(from, `reach('${addressOf(await stack.containers.inspect(to), undefined, 6)}', 80)`);
    await waitFor(async () => (await ask('client', 'server'))[0] === 'reached', { what: 'the server over IPv6' });
    await waitFor(async () => (await ask('server', 'client'))[0] === 'reached', { what: 'the client over IPv6' });
  });

  it('are those of a network for all containers on it', async () => {
    await stack.must('network', 'create', '--allow', 'allowed.test', 'back');
    await create('one', WEB, '--net', 'back');
    await create('two', WEB, '--net', 'back', '--allow', 'other.test', '--allow', 'allowed.test');
    assert.deepEqual(await results('one', ...OUT), DENIED);
    assert.deepEqual(await results('two', ...OUT), DENIED);
    // Its own policy is about its peers, too; that of the network is not.
    await waitFor(async () => (await results('one', "reach('two', 80)"))[0] === 'reached', { what: 'the web server' });
    assert.deepEqual(await results('two', "reach('one', 80)"), ['EHOSTUNREACH']);
    await stack.must('egress', 'allow', '--network', 'back', 'other.test');
    assert.deepEqual(await results('one', "reach('other.test', 80)"), ['reached']);
    assert.match(
      await stack.must('inspect', 'two'),
      /"Egress": \[\s*"allow allowed\.test"|"Egress": \[\s*"allow other\.test"/,
    );
  });

  it('are refused where they cannot be enforced', async () => {
    const attempt = async (...options: string[]) =>
      (await stack.net('run', '--rootfs', busyboxRootfs(), '--allow', 'a.test', ...options, 'true')).stderr;
    assert.match(
      await attempt('--net=host'),
      /^error: \S+ cannot have an egress policy of its own: .*hint: leave out --network host\n$/,
    );
    assert.match(await attempt('--net=container:app'), /it shares the network of another container/);
    assert.match(await attempt('--allow', 'no/rule'), /^error: Invalid rule "no\/rule" \(--allow\): expected /);
  });

  it('hold again when the stack is started again', async () => {
    const { home } = stack;
    await stack[Symbol.asyncDispose]();
    await using again = await start(home);
    await again.must('start', 'app');
    const text = await execIn(again, 'app', 'python3', '-c', `${TRY}\nprint(${OUT.join(')\nprint(')})`);
    assert.deepEqual(text.trimEnd().split('\n'), DENIED);
  });
});

describe('an egress policy of a container', () => {
  it('holds without TPROXY', async () => {
    await using stack = await start(tempDir(), ['tproxy']);
    const program = ['python3', '-c', `${TRY}\nprint(${OUT.join(')\nprint(')})`];
    const mounts = HOST_PROGRAMS.flatMap((mount) => ['-v', mount]);
    const text = await stack.must(
      ...['run', ...mounts, '--allow', 'allowed.test', '--rootfs', busyboxRootfs(), '--', ...program],
    );
    assert.deepEqual(text.trimEnd().split('\n'), DENIED);
  });

  const stack = withContainerStack({ keep: true });

  it('is refused by a stack whose network cannot enforce it', async () => {
    const { stderr } = await stack.net('run', '--rootfs', busyboxRootfs(), '--allow', 'a.test', ...IDLE);
    assert.match(
      stderr,
      /^error: \S+ cannot be run with an egress policy: .*hint: start the stack with --net=builtin\n$/,
    );
  });
});
