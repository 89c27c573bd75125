import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { repoRoot, run, startStack, tempDir } from '../../support/index.js';
import { pathWith, refuses, runNested, runWords, WITHOUT_BUILTIN } from '../../support/stacks/rootless-run.js';

const plain = (...args: string[]) => runWords('--net=none', ...args);

describe('an invalid command line', () => {
  it('is reported with the most similar valid option, whatever follows', async () => {
    await refuses(runWords('--propogation=rslave', 'true'), /unknown option '--propogation'.*--propagation/);
    await refuses(runWords('--state-dri', '/x', 'true'), /unknown option '--state-dri'.*--state-dir/);
    await refuses(runWords('-x', 'true'), /unknown option '-x'/);
  });

  it('is reported with the value and the valid ones', async () => {
    for (const [args, expected] of [
      [['--net=bridge'], /bridge.*slirp4netns.*pasta.*none/],
      [['--port-driver=magic'], /magic.*builtin.*none/],
      [['--propagation=up'], /up.*private.*rslave/],
      [['--mtu=65522'], /mtu.*65522.*65521/],
      [['--mtu=1e3'], /mtu.*1e3/],
      [['--cidr=10.0.2.0/24x'], /cidr.*10\.0\.2\.0\/24x/],
      [['--cidr=10.0.2.0/30'], /cidr.*10\.0\.2\.0\/30/],
      [['--pidns=maybe'], /--pidns "maybe"/],
      [['--port-driver=none', '-p', '8080:80'], /port driver "none" does not support publishing ports/],
      [['--allow-host-loopback', '--disable-host-loopback'], /--allow-host-loopback.*--disable-host-loopback/],
    ] as const) {
      await refuses(runWords(...args, 'true'), expected);
    }
  });

  it('names the port in question', async () => {
    for (const [spec, expected] of [
      ['8080', /"8080".*child port/],
      ['99999:80', /99999.*65535/],
      ['8080:80/icmp', /icmp.*tcp.*udp/],
      ['localhost:8080:80', /localhost/],
      ['8000-8010:80-81', /8000-8010/],
      ['', /-p|publish|port/],
    ] as const) {
      await refuses(plain('-p', spec, 'true'), expected);
    }
  });

  it('has no command', async () => {
    await refuses(runWords(), /no command specified/);
    await refuses(runWords('--'), /no command specified/);
    await refuses(plain('-p', '127.0.0.2:0:80'), /no command specified/);
  });
});

describe('a command that cannot be executed', () => {
  it('reports what is wrong with it: not there 127, there but not to be run 126', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'script'), '#!/no/such/interpreter\n', { mode: 0o755 });
    writeFileSync(join(directory, 'file'), 'text');
    await refuses(plain(join(directory, 'script')), /cannot execute .*script: .*interpreter/, { code: 126 });
    await refuses(plain(join(directory, 'file', 'below')), /cannot execute .*file\/below/, { code: 126 });
    await refuses(plain(directory), /cannot execute .*directory/, { code: 126 });
    await refuses(plain(''), /command.*(""|''|empty)/, { code: 127 });
  });

  it('is searched on the PATH of the user', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'ours'), '#!/bin/sh\necho found\n', { mode: 0o755 });
    const [program, ...args] = plain('ours');
    const result = await run(program, args, { env: { PATH: `${directory}:${process.env.PATH}` } });
    assert.deepEqual([result.stdout, result.code], ['found\n', 0]);
    await refuses(plain('ours'), /command not found: ours/, { code: 127 });
  });

  it('takes nothing with it: ports and network are given back', async () => {
    await refuses(runWords('--net=slirp4netns', '-p', '127.0.0.2:28080:80', 'no-such'), /no-such/, { code: 127 });
    await using again = await startStack({ publish: ['127.0.0.2:28080:80'] });
    assert.equal((await again.published()).length, 1);
  });
});

describe('arguments', () => {
  it('arrive as they were, however odd', async () => {
    const odd = ['', ' ', 'a b', '-p', '--', 'new\nline', '"quoted"', '\\', '$HOME', 'ümläut', '*'];
    const [program, ...args] = plain(...['sh', '-c', 'printf "%s\\0" "$@"', 'sh', ...odd]);
    assert.equal((await run(program, args)).stdout, odd.map((word) => `${word}\0`).join(''));
  });

  it('arrive all, however many', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `${i}`);
    const [program, ...args] = plain(...['sh', '-c', 'echo $# $1; shift 19999; echo $1', 'sh', ...many]);
    const { stdout, stderr } = await run(program, args);
    assert.deepEqual([stdout, stderr], ['20000 0\n19999\n', '']);
  });

  it('arrive whole, however long', async () => {
    const long = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(120_000));
    const [program, ...args] = plain(...['sh', '-c', 'printf %s "$@" | cksum; echo $#', 'sh', ...long]);
    const expected = await run('cksum', [], { input: long.join('') });
    assert.equal((await run(program, args)).stdout, `${expected.stdout}8\n`);
  });
});

describe('odd environments', () => {
  it('without a working directory end in one line, or continue', async () => {
    const gone = join(tempDir(), 'gone');
    mkdirSync(gone);
    const words = ['sh', '-c', 'rmdir "$PWD" && exec "$@"', 'sh', ...plain('echo', 'on')];
    const { stdout, stderr, code } = await run(words[0] ?? '', words.slice(1), { cwd: gone });
    assert.doesNotMatch(stderr, /internal error/);
    if (code === 0) assert.deepEqual([stdout, stderr], ['on\n', '']);
    else assert.match(stderr, /^rootless-run: error: [^\n]*directory[^\n]*\n$/);
  });

  it('without streams, without HOME and without PATH change nothing', async () => {
    for (const closed of ['<&-', '>&-', '2>&-', '<&- >&- 2>&-']) {
      const file = join(tempDir(), 'done');
      const { code } = await run('sh', ['-c', `"$@" ${closed}`, 'sh', ...plain('touch', file)]);
      assert.equal(code, 0, closed);
      assert(existsSync(file));
    }
    const env = { HOME: undefined, USER: undefined, LOGNAME: undefined, XDG_RUNTIME_DIR: undefined };
    const [program, ...args] = plain('true');
    assert.deepEqual(await run(program, args, { env }), { code: 0, signal: null, stdout: '', stderr: '' });
    const poor = await run(program, [...args.slice(0, -1), '/bin/true'], { env: { PATH: undefined } });
    assert.match(poor.stderr, /^(rootless-run: warning: only root is mapped [^\n]*\n)?$/);
    assert.equal(poor.code, 0);
  });

  it('without the native part report how to get it', async () => {
    const copy = tempDir();
    for (const path of ['package.json', 'dist']) {
      cpSync(join(repoRoot, path), join(copy, path), { recursive: true });
    }
    mkdirSync(join(copy, 'node_modules'));
    const program = join(copy, 'dist/bin/rootless-run.cjs');
    for (const words of [[process.execPath, program], [join(copy, 'dist/bin/rootless-run')]]) {
      await refuses(
        [...words, '--net=none', 'true'],
        /native part is not built .*; hint: build it with: node .*build-native\.mjs/,
      );
      const [first = '', ...rest] = words;
      const help = await run(first, [...rest, '--help']);
      assert.deepEqual([help.code, help.stderr], [0, '']);
    }
  });

  it('with the library but without the launcher report it, too', async () => {
    const copy = tempDir();
    const native = 'native/build/Release/rootless_net.node';
    mkdirSync(join(copy, 'native/build/Release'), { recursive: true });
    for (const path of ['package.json', 'dist', native]) {
      cpSync(join(repoRoot, path), join(copy, path), { recursive: true });
    }
    const program = join(copy, 'dist/bin/rootless-run.cjs');
    for (const words of [[process.execPath, program], [join(copy, 'dist/bin/rootless-run')]]) {
      await refuses(
        [...words, '--net=none', 'true'],
        /launcher: it does not exist; hint: build it with: node .*build-native\.mjs/,
      );
    }
  });

  it('with a node that is too old report which one is needed', async () => {
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.1' } });`;
    const preload = join(tempDir(), 'old.cjs');
    writeFileSync(preload, old);
    for (const [name, failed] of [
      ['rootless-run', 125],
      ['rootlessctl', 1],
    ] as const) {
      const program = join(repoRoot, 'dist/bin', `${name}.cjs`);
      const { stdout, stderr, code } = await run(process.execPath, ['--require', preload, program, '--help']);
      assert.deepEqual([stdout, code], ['', failed]);
      assert.match(stderr, /^rootless-net needs Node\.js 20\.19 or later, this is 18\.20\.1 [^\n]*\n$/);
    }
  });
});

describe('a machine that does not allow it', () => {
  it('to have another user namespace: one line, and nothing is left', async () => {
    const script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"';
    await refuses(
      ['unshare', '-Ur', 'sh', '-c', script, 'sh', ...plain('true')],
      /max_user_namespaces.*sudo sysctl -w user\.max_user_namespaces=\d+/,
    );
  });

  it('to have another network namespace: one line, and nothing is left', async () => {
    const script = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"';
    await refuses(
      ['unshare', '-Ur', 'sh', '-c', script, 'sh', ...plain('true')],
      /max_net_namespaces.*sudo sysctl -w user\.max_net_namespaces=\d+/,
    );
  });

  it('to map the sub-ids: what newuidmap or newgidmap printed, and nothing is left', async () => {
    for (const [failing, working] of [
      ['newuidmap', 'newgidmap'],
      ['newgidmap', 'newuidmap'],
    ] as const) {
      const fakes = { [failing]: 'echo "first line" >&2; echo "second line" >&2; exit 1' };
      const env = { PATH: `${pathWith([working], fakes)}:${process.env.PATH}` };
      const expected = new RegExp(
        `failed to set up the id map: .*${failing} \\d+ 0 .*first line; second line.*/etc/sub`,
      );
      await refuses(plain('true'), expected, { env });
    }
  });

  it('to open /dev/net/tun: what to do, and the network is loopback only if it may be', async () => {
    const { uid, gid } = userInfo();
    // Another user's file, which this user may not open, stands in for the device.
    const script =
      'mount --bind /dev/null /etc/subuid; mount --bind /etc/shadow /dev/net/tun;' +
      ` exec unshare --user --map-user=${uid} --map-group=${gid} "$@"`;
    const refused = await runNested(script, runWords('--net=slirp4netns', 'true'));
    assert.match(
      refused.stderr,
      /^rootless-run: error: --net=slirp4netns .*\/dev\/net\/tun may not be opened.*chmod[^\n]*$/m,
    );
    assert.equal(refused.code, 125);
    const none = await runNested(WITHOUT_BUILTIN.replace('exec "$@"', script), runWords('--', 'ls', '/sys/class/net'));
    assert.equal(none.stdout, 'lo\n', none.stderr);
    assert.match(none.stderr, /^rootless-run: no outbound network, loopback only: .*\/dev\/net\/tun[^\n]*$/m);
    assert.equal(none.code, 0);
  });
});

describe('a program that an option names', () => {
  it('is the one that is missing, not the package of another', async () => {
    for (const [option, net] of [
      ['--slirp4netns-binary', 'slirp4netns'],
      ['--pasta-binary', 'pasta'],
    ] as const) {
      for (const [value, why] of [
        ['/etc/passwd', 'it is not an executable file'],
        ['/etc', 'it is not an executable file'],
        ['/no/such', 'no such file'],
        ['no-such-program', 'not found in PATH'],
      ]) {
        const expected = new RegExp(
          `cannot be used: ${option}=${value}: ${why}; hint: name a program, or leave ${option} out`,
        );
        await refuses(runWords(`--net=${net}`, `${option}=${value}`, 'true'), expected);
      }
    }
  });
});

describe('a limit of open files', () => {
  it('that is too low for Node is reported, not met', async () => {
    for (const limit of [8, 16, 31]) {
      const words = ['prlimit', `--nofile=${limit}:${limit}`, ...plain('true')];
      await refuses(words, /too few open files are allowed, \d+ of the 32 that are needed; hint: raise .*ulimit -n/);
    }
  });
});

describe('a privileged port', () => {
  it('is refused with all remedies', async () => {
    await refuses(
      plain('-p', '127.0.0.2:80:80', 'true'),
      /privileged port 80, .*ip_unprivileged_port_start=80.*; hint: rootless-run systemd install -s 127\.0\.0\.2:80:80\/tcp has systemd open it/,
    );
  });
});

describe('a network driver that fails', () => {
  const fails = 'echo "noise" >&2; echo "cannot do that today" >&2; exit 1';
  const pathOf = (fakes: Record<string, string>) => ({ PATH: `${pathWith([], fakes)}:${process.env.PATH}` });

  for (const driver of ['slirp4netns', 'pasta']) {
    it(`is reported with its output (${driver})`, async () => {
      const expected = new RegExp(`${driver} failed: cannot do that today; its command was: .*${driver} `);
      await refuses(runWords(`--net=${driver}`, 'true'), expected, { env: pathOf({ [driver]: fails }) });
    });

    it(`is reported if it ends without output, by a signal or with success (${driver})`, async () => {
      for (const script of ['kill -9 $$', 'exit 0']) {
        await refuses(runWords(`--net=${driver}`, 'true'), new RegExp(`${driver} failed: `), {
          env: pathOf({ [driver]: script }),
        });
      }
    });

    it(`is reported if it is not installed (${driver})`, async () => {
      const env = { PATH: pathWith(['newuidmap', 'newgidmap']) };
      await refuses(runWords(`--net=${driver}`, '/bin/true'), new RegExp(`${driver} is not installed.*apt-get`), {
        env,
      });
    });
  }

  it('gives way to the next one with auto, and finally to loopback alone', async () => {
    const words = runWords('--', 'ls', '/sys/class/net');
    const third = await runNested(WITHOUT_BUILTIN, words, { env: pathOf({ slirp4netns: fails }) });
    assert.deepEqual([third.stdout, third.code], ['lo\ntap0\n', 0]);
    const none = await runNested(WITHOUT_BUILTIN, words, { env: pathOf({ slirp4netns: fails, pasta: fails }) });
    assert.deepEqual([none.stdout, none.code], ['lo\n', 0]);
    assert.match(
      none.stderr,
      /^rootless-run: no outbound network, loopback only: --net=builtin cannot be used: .*slirp4netns failed: .*pasta failed: [^\n]*\n$/,
    );
  });
});
