/** What nerdctl, containerd-rootless.sh, k3s and Docker do with a RootlessKit, as far as it can be done without them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { PortStatus } from '../../../protocol/index.js';
import { freePort, programPath, run, start, tcpRequest, tempDir, waitFor } from '../../support/index.js';
import { type Home, makeHome } from './programs.js';

const options = ['--net=slirp4netns', '--mtu=65520', '--slirp4netns-sandbox=auto', '--slirp4netns-seccomp=auto'];
const rest = [
  '--disable-host-loopback',
  '--port-driver=builtin',
  '--copy-up=/etc',
  '--copy-up=/run',
  '--propagation=rslave',
];

describe('how nerdctl uses a RootlessKit', () => {
  let home: Home;
  beforeEach(() => {
    home = makeHome(tempDir());
  });
  const rootlesskit = (...words: string[]) => run('env', ['rootlesskit', ...words], { env: home.env });

  it('finds --detach-netns in the help, and passes the checks of the set-up tool', async () => {
    const found = await run('sh', ['-c', 'rootlesskit --help | grep -qw -- "--detach-netns"'], { env: home.env });
    assert.equal(found.code, 0);
    const checks = ['--disable-host-loopback', '--copy-up=/etc', '--copy-up=/run', '--copy-up=/var/lib'];
    assert.deepEqual(await rootlesskit(...checks, 'true'), { code: 0, signal: null, stdout: '', stderr: '' });
    const overlay = `d=$(mktemp -d) && cd "$d" && mkdir lower upper work merged && echo kept > lower/file && mount -t tmpfs none "$d/upper" 2>/dev/null; mount -t overlay overlay -o lowerdir=lower,upperdir=upper/u,workdir=upper/w merged 2>/dev/null || { mkdir -p upper/u upper/w && mount -t overlay overlay -o lowerdir=lower,upperdir=upper/u,workdir=upper/w merged; } && cat merged/file; umount merged upper; rm -rf "$d"`;
    assert.equal((await rootlesskit('sh', '-c', overlay)).stdout, 'kept\n');
  });

  for (const detach of [[], ['--detach-netns']]) {
    it(`enters by the state directory, and publishes ports (${detach.join() || 'not detached'})`, async () => {
      const stateDir = join(home.env.XDG_RUNTIME_DIR, 'containerd-rootless');
      const words = ['rootlesskit', `--state-dir=${stateDir}`, ...options, ...rest, ...detach, 'sleep', '1000'];
      await using stack = await start('env', words, {
        env: home.env,
        ready: { check: () => existsSync(join(stateDir, 'api.sock')) },
      });
      const pid = readFileSync(join(stateDir, 'child_pid'), 'utf8');
      assert.match(pid, /^\d+$/);
      const known = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const variables = known.filter((line) => line.startsWith('ROOTLESSKIT_'));
      assert.deepEqual(variables.map((line) => line.split('=')[0]).sort(), [
        'ROOTLESSKIT_PARENT_EGID',
        'ROOTLESSKIT_PARENT_EUID',
        'ROOTLESSKIT_STATE_DIR',
      ]);

      const flags = [`-w${process.cwd()}`, '--preserve-credentials', '-m', '-U', '-t', pid, '-F'];
      // With a detached namespace the file is one inside, and not to be seen from here.
      const enter = ['env', ...variables, 'nsenter', ...flags, ...(detach.length > 0 ? [] : ['-n'])];
      const inNetns = detach.length > 0 ? ['nsenter', `-n${stateDir}/netns`, '-F', '--'] : [];
      const [program = '', ...first] = [...enter, ...inNetns];
      const inside = await run(program, [
        ...first,
        'sh',
        '-c',
        'id -u; pwd; ls /sys/class/net; ip -4 -o addr show tap0',
      ]);
      assert.equal(inside.code, 0, inside.stderr);
      assert.match(inside.stdout, new RegExp(`^0\n${process.cwd()}\n[^]*tap0.*10\\.0\\.2\\.100/24`));

      const info = await call(stateDir, 'GET', '/v1/info');
      const { networkDriver, portDriver } = info as { networkDriver: object; portDriver: object };
      assert.deepEqual(
        { dns: ['10.0.2.3'], childIP: '10.0.2.100', driver: 'slirp4netns' },
        pick(networkDriver, ['dns', 'childIP', 'driver']),
      );
      assert.deepEqual(pick(portDriver, ['driver']), { driver: 'builtin' });

      // nerdctl: no childIP; what it removes it finds by protocol, address and ports.
      const port = await freePort('127.0.0.2');
      await using _server = await start(
        program,
        [...first, process.execPath, programPath('tcp-server'), 'echo', '0.0.0.0', '8088'],
        { ready: { output: /^ready$/m } },
      );
      const spec = { proto: 'tcp', parentIP: '127.0.0.2', parentPort: port, childPort: 8088 };
      const added = (await call(stateDir, 'POST', '/v1/ports', spec)) as PortStatus;
      assert.equal((await tcpRequest('127.0.0.2', port, 'by nerdctl')).toString(), 'by nerdctl');
      const listed = (await call(stateDir, 'GET', '/v1/ports')) as PortStatus[];
      assert.deepEqual(listed, [{ id: added.id, spec }]);
      await call(stateDir, 'DELETE', `/v1/ports/${added.id}`);
      assert.equal(await call(stateDir, 'GET', '/v1/ports'), null);

      // Docker: both families by name, and where inside.
      for (const docker of [
        { proto: 'tcp4', parentIP: '0.0.0.0', parentPort: port, childIP: '127.0.0.1', childPort: 8088 },
        { proto: 'tcp6', parentIP: '::', parentPort: port, childIP: '127.0.0.1', childPort: 8088 },
      ]) {
        await call(stateDir, 'POST', '/v1/ports', docker);
      }
      assert.equal((await tcpRequest('127.0.0.1', port, 'by Docker')).toString(), 'by Docker');
      assert.equal((await tcpRequest('::1', port, 'by Docker')).toString(), 'by Docker');
      await waitFor(() => stack.output() === '', { what: 'nothing to be printed' });
    });
  }
});

function pick(object: object, names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([name]) => names.includes(name)));
}

/** As Go's client does it: any host name, no Content-Type. Rejects for answers of 400 on. */
function call(stateDir: string, method: string, path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socketPath = join(stateDir, 'api.sock');
    const sent = request({ socketPath, method, path, host: 'rootlesskit', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if ((response.statusCode ?? 0) >= 400) reject(new Error(text));
        else resolve(text === '' ? undefined : JSON.parse(text));
      });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}
