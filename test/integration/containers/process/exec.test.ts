import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ContainerClient } from '../../../../parent/client/container-client.js';
import { binPath, run, startStack, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  IDLE,
  startContainer,
  tryIn,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

/** A request to the stack's API; an upgrade where the headers ask for one. */
function ask(
  { stateDir }: Pick<ContainerStack, 'stateDir'>,
  method: string,
  path: string,
  { body = '', headers = {} }: { body?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; message: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(stateDir, 'api.sock'), method, path, headers, agent: false });
    asked.once('response', (answer) => {
      text(answer).then((message) => resolve({ status: answer.statusCode ?? 0, message }), reject);
    });
    asked.once('upgrade', ({ statusCode = 0 }, socket) => {
      socket.destroy();
      resolve({ status: statusCode, message: '' });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

const WEBSOCKET = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

for (const runtime of ['runc', 'crun']) {
  describe(`a further program in a container, with ${runtime}`, () => {
    const stack = withContainerStack({ wrapper: ['prlimit', '--nofile=700:1000', '--'], keep: true });
    before(async () => {
      await startContainer(stack, { name: 'one', runtime, env: ['OWN=1'], cwd: '/tmp' });
    });

    it('gets as long a command and environment as the kernel takes, and so does a container', async () => {
      const words = ['x'.repeat(131_071), ...Array.from({ length: 18 }, () => 'y'.repeat(99_000))];
      const count = [
        'sh',
        '-c',
        'echo $# $(cat /proc/self/environ | tr "\\0" "\\n" | grep -c "^V"); echo -n "$1" | wc -c',
      ];
      const env = Array.from({ length: 500 }, (_, index) => ['-e', `V${index}=${'v'.repeat(100)}`]).flat();
      const options = ['--runtime', runtime, '--rootfs', busyboxRootfs()];
      for (const how of [
        ['exec', ...env, 'one'],
        ['run', '--rm', ...env, ...options, '--'],
      ]) {
        assert.equal(await stack.must(...how, ...count, 'sh', ...words), '19 500\n131071', how[0]);
      }
    });

    it('is refused in one line if the kernel accepts no more', async () => {
      const { containers } = stack;
      const command = (...sizes: number[]) => ['true', ...sizes.map((size) => 'x'.repeat(size))];
      for (const [words, line] of [
        [command(5, 131_072), /^argument 2 of the command is too long: 131072 bytes, .* 131071 \(E2BIG\)$/],
        [command(...Array.from({ length: 30 }, () => 100_000)), /^the command and its environment are too long: .*$/],
      ] as const) {
        await assert.rejects(containers.exec('one', { command: words }), { httpStatus: 400, message: line });
        const { id } = await containers.create({ rootfs: busyboxRootfs(), command: words, runtime });
        await assert.rejects(containers.start(id), { httpStatus: 400, message: line });
        assert.equal((await containers.inspect(id)).status, 'created');
        await containers.remove(id);
      }
    });

    it('has environment, directory and user of the container, and what is requested in their place', async () => {
      const show = ['sh', '-c', `pwd; id -u; id -g; echo $OWN $MORE; grep CapEff /proc/self/status`];
      const [caps = ''] = (await execIn(stack, 'one', 'grep', 'CapBnd', '/proc/1/status')).split('\n');
      const bounding = caps.replace('CapBnd', 'CapEff');
      assert.equal(await stack.must('exec', 'one', ...show), ['/tmp', '0', '0', '1', bounding].join('\n'));
      assert.equal(
        await stack.must('exec', '-u', '5:7', '-w', '/', '-e', 'MORE=2', '-e', 'OWN=3', 'one', ...show),
        ['/', '5', '7', '3 2', 'CapEff:\t0000000000000000'].join('\n'),
      );
    });

    it('has the limits of the container, and its descriptors alone', async () => {
      const script = 'grep "open files" /proc/self/limits; echo $(ls /proc/self/fd)';
      const ulimits = [{ name: 'stack' as const, soft: 8 * 2 ** 20, hard: -1 }];
      await startContainer(stack, { name: 'limited', runtime, ulimits });
      const own = await execIn(stack, 'one', 'grep', 'open files', '/proc/1/limits');
      assert.match(own, /files +700 +1000 /);
      for (const tty of [false, true]) {
        for (const name of ['one', 'limited']) {
          const stream = await stack.containers.exec(name, { command: ['sh', '-c', script], tty });
          let output = '';
          stream.listen((_, data) => {
            output += data.toString().replaceAll('\r', '');
          });
          assert.equal(await stream.exit, 0, output);
          // The last one is that of the directory.
          assert.equal(output, `${own}0 1 2 3\n`, `${name}, ${tty}`);
        }
      }
      await stack.containers.remove('limited', { force: true });
    });

    it('that cannot be executed is named, and ends with the exit code for that', async () => {
      const files = 'echo true > /tmp/text; printf "#!/no/such" > /tmp/script; busybox chmod +x /tmp/text /tmp/script';
      await execIn(stack, 'one', 'sh', '-c', files);
      for (const [name, expected, message] of [
        [
          'no-such-program',
          127,
          'command not found in the container: no-such-program; hint: check its name, and PATH inside',
        ],
        ['/no/such', 127, 'command not found in the container: /no/such; hint: check its path inside the container'],
        [
          '/etc/passwd',
          126,
          'cannot execute /etc/passwd in the container: permission denied; hint: it has to be an executable file (chmod +x)',
        ],
        [
          '/tmp/text',
          126,
          'cannot execute /tmp/text in the container: it is neither a binary for this machine nor a script that begins with #!',
        ],
        [
          '/tmp/script',
          127,
          'cannot execute /tmp/script in the container: it needs /no/such, which does not exist there; hint: check its first line',
        ],
        ['', 127, 'command not found in the container: ""; hint: check its name, and PATH inside'],
      ] as const) {
        for (const options of [[], ['-t']]) {
          const { code, stdout, stderr } = await stack.net('exec', ...options, 'one', name);
          assert.deepEqual([code, stdout, stderr], [expected, '', `error: ${message}\n`]);
        }
        const rootfs = ['--runtime', runtime, '--rootfs', busyboxRootfs()];
        const { code, stdout, stderr } = await stack.net('run', '--rm', ...rootfs, '--', name);
        assert.deepEqual([code, stdout, stderr], [expected, '', `error: ${message}\n`]);
      }
    });

    it('names what of its environment cannot be set up, in plain words', async () => {
      const rootfs = ['--runtime', runtime, '--rootfs', busyboxRootfs()];
      for (const [words, message] of [
        [
          ['exec', '-w', '/no/such', 'one', 'true'],
          'cannot change to /no/such in the container (--workdir): no such directory',
        ],
        [
          ['run', '-w', '/etc/passwd', ...rootfs, 'true'],
          'cannot change to /etc/passwd in the container (--workdir): not a directory',
        ],
        [
          ['run', '--sysctl', 'net.ipv4.ip_forward=x', ...rootfs, 'true'],
          '--sysctl net.ipv4.ip_forward: the kernel refuses its value (invalid argument)',
        ],
        [
          ['run', '--tmpfs', '/etc/passwd', ...rootfs, 'true'],
          `cannot mount a tmpfs at /etc/passwd (--tmpfs): /etc/passwd is a file in ${busyboxRootfs()}, not a directory`,
        ],
        [
          ['run', '-v', '/tmp:/etc/passwd/x', ...rootfs, 'true'],
          `cannot mount /tmp at /etc/passwd/x (-v): /etc/passwd is a file in ${busyboxRootfs()}, not a directory`,
        ],
      ] as const) {
        const { code, stdout, stderr } = await stack.net(...words);
        assert.deepEqual([code, stdout, stderr], [125, '', `error: ${message}\n`]);
      }
    });

    it('continues without its client if it is detached', async () => {
      const wait = 'while [ ! -e /tmp/go ]; do sleep 0.02; done';
      for (const options of [['-d'], ['-dt'], ['-di']]) {
        const script = `yes | head -c 300000; ${wait}; echo "$0" > /tmp/done`;
        assert.equal(await stack.must('exec', ...options, 'one', 'sh', '-c', script, options.join('')), '');
        assert.equal((await tryIn(stack, 'one', 'ls', '/tmp/done')).code, 1);
        await execIn(stack, 'one', 'touch', '/tmp/go');
        await waitFor(async () => (await tryIn(stack, 'one', 'cat', '/tmp/done')).output === `${options}\n`, {
          what: 'the end of the program',
        });
        await execIn(stack, 'one', 'rm', '/tmp/go', '/tmp/done');
      }
      const { code, stderr } = await stack.net('exec', '-d', 'one', 'no-such-program');
      assert.equal(code, 127);
      assert.match(stderr, /^error: command not found in the container: no-such-program;/);
    });

    it('leaves no file when it has ended', async () => {
      const { id } = await stack.containers.inspect('one');
      await execIn(stack, 'one', 'true');
      await stack.net('exec', 'one', 'no-such-program');
      const left = readdirSync(join(stack.stateDir, 'containers', id)).filter((name) => name.startsWith('exec'));
      assert.deepEqual(left, []);
    });
  });
}

describe('a stream that is refused', () => {
  const stack = withContainerStack({ keep: true });
  before(async () => {
    await startContainer(stack, { name: 'one' });
    await stack.containers.create({ name: 'still', rootfs: busyboxRootfs(), command: IDLE });
  });

  it('is answered with the reason, in the API', async () => {
    const prepare = async (name: string) => {
      const body = JSON.stringify({ command: ['true'] });
      const { status, message } = await ask(stack, 'POST', `/v1/containers/${name}/exec`, { body });
      assert.equal(status, 201);
      return String(JSON.parse(message).id);
    };
    await startContainer(stack, { name: 'two' });
    const [first, second] = [await prepare('one'), await prepare('one')];
    for (const [path, status, message] of [
      [`one/exec?id=${first}`, 101, ''],
      [`one/exec?id=${first}`, 404, 'no such exec: '],
      [`two/exec?id=${second}`, 404, 'no such exec: '],
      ['one/exec', 400, 'an exec is created with POST first'],
      [`nobody/exec?id=${second}`, 404, 'no such container: nobody'],
      ['nobody/attach', 404, 'no such container: nobody'],
      ['one/logs?tail=many', 400, 'tail: '],
      ['one/attache', 404, 'the API has no stream /v1/containers/one/attache'],
    ] as const) {
      const answer = await ask(stack, 'GET', `/v1/containers/${path}`, { headers: WEBSOCKET });
      assert.deepEqual(
        [answer.status, answer.message.startsWith(message && `{"message":"${message}`)],
        [status, true],
        path,
      );
    }
    for (const verb of ['exec', 'attach', 'logs']) {
      const plain = await ask(stack, 'GET', `/v1/containers/one/${verb}`);
      assert.deepEqual(plain, { status: 426, message: '{"message":"expected a WebSocket","code":"container"}' });
      const other = await ask(stack, 'GET', `/v1/containers/one/${verb}`, {
        headers: { Connection: 'Upgrade', Upgrade: 'h2c' },
      });
      assert.deepEqual(other, { status: 426, message: '{"message":"expected a WebSocket","code":"container"}\n' });
    }
  });

  it("shows the stack's own reason on the command line", async () => {
    for (const [words, line] of [
      [['exec', 'nobody', 'true'], 'no such container: nobody'],
      [['exec', 'still', 'true'], 'the container still is not running; start it first'],
      [['logs', 'nobody'], 'no such container: nobody'],
    ] as const) {
      const { stderr } = await stack.net(...words);
      assert.equal(stderr, `error: ${line}\n`);
    }
    const { code, stderr } = await run(
      'sh',
      ['-c', 'exec "$0" exec one echo "$(printf "a\\377")"', binPath('rootless-net')],
      { env: stack.env },
    );
    assert.notEqual(code, 0);
    assert.match(stderr, /^error: .*has bytes that are not UTF-8, which OCI runtimes cannot pass on\n$/);
  });

  it('reports that a stack runs no containers only of one that does not', async () => {
    await using other = await startStack();
    const containers = new ContainerClient(join(other.stateDir, 'api.sock'));
    const expected = { httpStatus: 404, message: 'this stack runs no containers' };
    await assert.rejects(containers.exec('x', { command: ['true'] }), expected);
    await assert.rejects(containers.attach('x'), expected);
    await assert.rejects(containers.logs('x'), expected);
  });
});
