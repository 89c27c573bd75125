import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { type CreateOptions, toRequest, withCreateOptions } from '../../../../bin/net/options/create-options.js';
import { FOREIGN_OPTIONS } from '../../../../bin/net/options/foreign-options.js';
import { acceptDockerSpellings } from '../../../../bin/rootlesskit-compat/option-spellings.js';
import type { NewContainer } from '../../../../parent/client/container-client.js';
import { UsageError } from '../../../../parent/errors.js';
import { parseContainerRequest } from '../../../../protocol/containers/schemas.js';
import { withHint } from '../../../../protocol/errors/expected-error.js';
import { tempDir } from '../../../support/index.js';

/** What a command line asks for; it passes the checks of the stack, too. */
function request(...args: string[]): NewContainer {
  let made: NewContainer | undefined;
  const command = withCreateOptions(new Command('create'))
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .action((words: string[], options: CreateOptions) => {
      made = toRequest(words, options);
    });
  acceptDockerSpellings(command);
  command.parse(['--rootfs', '/rootfs', ...args, '--', 'true'], { from: 'user' });
  assert(made);
  return parseContainerRequest(JSON.parse(JSON.stringify(made))) as NewContainer;
}

function problem(...args: string[]): string {
  try {
    request(...args);
  } catch (error) {
    assert(error instanceof UsageError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    return withHint(error.message, error.hint);
  }
  return assert.fail(`${args.join(' ')} was taken`);
}

describe("docker's options of rootless-net run", () => {
  const taken: [args: string[], expected: NewContainer][] = [
    [['--sysctl', 'net.ipv4.ip_forward=1'], { sysctls: { 'net.ipv4.ip_forward': '1' } }],
    [
      ['--sysctl', 'net/core/somaxconn=9', '--sysctl', 'kernel.sem=1 2 3 4'],
      { sysctls: { 'net.core.somaxconn': '9', 'kernel.sem': '1 2 3 4' } },
    ],
    [['--cap-add', 'net_admin', '--cap-add=CAP_SYS_TIME'], { capAdd: ['CAP_NET_ADMIN', 'CAP_SYS_TIME'] }],
    [['--cap-drop', 'all'], { capDrop: ['ALL'] }],
    [['--init'], { init: true }],
    [['--stop-signal', 'RTMIN+3', '--stop-timeout', '-1'], { stopSignal: 'RTMIN+3', stopTimeout: -1 }],
    [['--stop-timeout', '30'], { stopTimeout: 30 }],
    [['--restart', 'always'], { restart: { policy: 'always' } }],
    [['--restart', 'on-failure:3'], { restart: { policy: 'on-failure', maxRetries: 3 } }],
    [['--restart=no'], { restart: { policy: 'no' } }],
    [['--restart', 'on-failure:0'], { restart: { policy: 'on-failure' } }],
    [['--tmpfs', '/run'], { mounts: [{ type: 'tmpfs', target: '/run', options: [] }] }],
    [
      ['--tmpfs', '/run:rw,size=64m,mode=1770'],
      { mounts: [{ type: 'tmpfs', target: '/run', options: ['rw', 'size=64m', 'mode=1770'] }] },
    ],
    [
      ['--mount', 'type=bind,src=/a,dst=/b,ro'],
      { mounts: [{ type: 'bind', source: '/a', target: '/b', options: ['ro'] }] },
    ],
    [
      ['--mount', 'type=bind,"source=/a,b",target=/b,bind-propagation=rslave'],
      { mounts: [{ type: 'bind', source: '/a,b', target: '/b', options: ['rslave'] }] },
    ],
    [
      ['--mount', 'type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700'],
      { mounts: [{ type: 'tmpfs', target: '/t', options: ['size=1048576', 'mode=700'] }] },
    ],
    [
      ['-v', '/a:/b:ro,z', '-v', '/c/:/d/../e'],
      {
        mounts: [
          { type: 'bind', source: '/a', target: '/b', options: ['ro'] },
          { type: 'bind', source: '/c', target: '/e', options: [] },
        ],
      },
    ],
    [['-v', './a:/b'], { mounts: [{ type: 'bind', source: join(process.cwd(), 'a'), target: '/b', options: [] }] }],
    [
      ['--ulimit', 'nofile=9', '--ulimit', 'nproc=1:2', '--ulimit', 'core=-1', '--ulimit', 'nofile=10'],
      {
        ulimits: [
          { name: 'nofile', soft: 10, hard: 10 },
          { name: 'nproc', soft: 1, hard: 2 },
          { name: 'core', soft: -1, hard: -1 },
        ],
      },
    ],
    [['--shm-size', '1g'], { shmSize: 1024 ** 3 }],
    [['--shm-size', '0'], {}],
    [['--security-opt', 'label=disable', '--security-opt', 'apparmor:unconfined'], {}],
    [['--group-add', 'audio', '--group-add', '7'], { groupAdd: ['audio', '7'] }],
    [['--user', 'www-data:adm'], { user: 'www-data:adm' }],
    [['--entrypoint', '/bin/sh'], { command: ['/bin/sh', 'true'] }],
    [['--pidfile', '/run/x.pid'], { pidFile: '/run/x.pid' }],
    [['--pid-file', '/run/x.pid'], { pidFile: '/run/x.pid' }],
    [['--annotation', 'a.b=c=d'], { annotations: { 'a.b': 'c=d' } }],
    [
      ['--init=true', '--rm=false', '--privileged=false', '-t=1', '--read-only=F'],
      { init: true, autoRemove: false, tty: true, readOnly: false },
    ],
    [['-e', '--init=true', '-e=A=1'], { init: false, env: ['--init=true', 'A=1'] }],
    [['--ipc=private', '--pull', 'never', '--no-healthcheck', '-q', '--disable-content-trust'], {}],
  ];
  for (const [args, expected] of taken) {
    it(`take ${args.join(' ')}`, () => {
      const made: Record<string, unknown> = { ...request(...args) };
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(made[key], value, key);
    });
  }

  const refused: [args: string[], what: RegExp][] = [
    [['--sysctl', 'net.ipv4.ip_forward'], /^invalid --sysctl "net\.ipv4\.ip_forward": expected NAME=value$/],
    [
      ['--sysctl', 'vm.swappiness=1'],
      /^invalid --sysctl: sysctl "vm\.swappiness" is not allowed: it belongs to the whole machine/,
    ],
    [
      ['--sysctl', 'kernel.hostname=x'],
      /^invalid --sysctl: sysctl kernel\.hostname is not allowed; hint: use --hostname$/,
    ],
    [['--sysctl', 'net..x=1'], /^invalid --sysctl: sysctl "net\.\.x" is not allowed/],
    [['--sysctl', 'net.ipv4/../../vm.x=1'], /is not allowed/],
    [['--cap-add', 'NETADMIN'], /^invalid --cap-add "NETADMIN": expected a name such as NET_ADMIN/],
    [['--cap-drop', 'CAP_ALL_OF_IT'], /^invalid --cap-drop/],
    [['--stop-signal', 'FOO'], /^invalid --stop-signal "FOO"/],
    [['--stop-signal', '65'], /^invalid --stop-signal "65"/],
    [['--stop-signal', 'RTMIN-1'], /^invalid --stop-signal/],
    [['--stop-timeout', '1.5'], /^invalid --stop-timeout "1\.5"/],
    [['--stop-timeout', '-2'], /^invalid --stop-timeout "-2"/],
    [['--restart', 'sometimes'], /^invalid --restart "sometimes": expected no, on-failure\[:COUNT\], always or/],
    [['--restart', 'always:3'], /^invalid --restart "always:3": only on-failure takes a number/],
    [['--restart', 'on-failure:-1'], /^invalid --restart/],
    [['--restart', 'on-failure:1:2'], /^invalid --restart/],
    [['--tmpfs', 'run'], /^invalid --tmpfs "run": the target "run" is not an absolute path$/],
    [['--tmpfs', '/'], /^invalid --tmpfs "\/": the target cannot be \/$/],
    [['--tmpfs', '/x:size=lots'], /^invalid --tmpfs .*: invalid value "lots" of size$/],
    [['--tmpfs', '/x:colour'], /^invalid --tmpfs .*: unknown option "colour"; known are /],
    [['--mount', 'type=bind,dst=/b'], /^invalid --mount .*: source=PATH is missing$/],
    [['--mount', 'type=bind,src=/b'], /^invalid --mount .*: target=PATH is missing$/],
    [['--mount', 'src=data,dst=/b'], /^invalid --mount .*: mounts of the type volume are not supported; hint: /],
    [['--mount', 'type=floppy,dst=/b'], /^invalid --mount .*: unknown type "floppy"; known are bind and tmpfs$/],
    [['--mount', 'type=tmpfs,dst=/b,colour=red'], /^invalid --mount .*: unknown key "colour"$/],
    [['--mount', 'type=bind,src=/a,dst=/b,ro=maybe'], /^invalid --mount .*: invalid value of readonly$/],
    [
      ['-v', 'data:/x'],
      /^invalid --volume "data:\/x": named volumes are not supported; hint: for the directory data write \.\/data:\/x$/,
    ],
    [['-v', '/data'], /^invalid --volume "\/data": volumes without a source are not supported; hint: /],
    [['-v', '/a:/b:ro:x'], /^invalid --volume .*: expected SOURCE:TARGET\[:OPTIONS\]$/],
    [['-v', '/a:/b:rx'], /^invalid --volume .*: unknown option "rx"; known are ro, rw, /],
    [['--ulimit', 'nofile'], /^invalid --ulimit "nofile": expected NAME=SOFT\[:HARD\]/],
    [['--ulimit', 'files=1'], /^invalid --ulimit "files=1": expected NAME=SOFT\[:HARD\] with a NAME of core, /],
    [['--ulimit', 'nofile=2:1'], /^invalid --ulimit "nofile=2:1": the soft limit exceeds the hard one$/],
    [['--shm-size', '1q'], /^invalid --shm-size "1q"/],
    [['--annotation', '=x'], /^invalid --annotation "=x": expected NAME=value$/],
    [['--pull', 'always'], /^--pull=always is not supported; hint: images are not supported; /],
    [
      ['--privileged'],
      /^--privileged is not supported; hint: use the options that are needed, such as --cap-add NET_ADMIN/,
    ],
    [['-m', '1g'], /^--memory is not supported; hint: limit the stack's unit with systemd .* --bundle DIR$/],
  ];
  for (const [args, what] of refused) {
    it(`refuse ${args.join(' ')}`, () => {
      assert.match(problem(...args), what);
    });
  }

  it('have values if they are on or off, also behind names, but not those of a program', () => {
    const program = new Command('net').enablePositionalOptions();
    const seen: unknown[] = [];
    const note = (...words: unknown[]): void => {
      seen.push({ given: words[0], options: words[1] });
    };
    program.command('make').argument('<name>').option('--a').option('--no-b').action(note);
    program.command('do').argument('<words...>').option('--a').passThroughOptions().action(note);
    acceptDockerSpellings(program);
    for (const words of ['make x --a=true', 'make --a=0 x', 'make x --b=false', 'do --a=1 true --a=false']) {
      program.parse(words.split(' '), { from: 'user' });
    }
    assert.deepEqual(seen, [
      { given: 'x', options: { a: true, b: true } },
      { given: 'x', options: { b: true } },
      { given: 'x', options: { b: false } },
      { given: ['true', '--a=false'], options: { a: true } },
    ]);
  });

  it('are all known', () => {
    for (const { flags } of FOREIGN_OPTIONS) {
      const [name = ''] = /--[a-z-]+/.exec(flags) ?? [];
      const words = flags.includes('<') ? [name, 'x'] : [name];
      assert.match(problem(...words), new RegExp(`^${name}(=x)? is not supported; hint: \\S`));
    }
  });

  const file = (text: string | Buffer) => {
    const path = join(tempDir(), 'env');
    writeFileSync(path, text);
    return path;
  };

  it('read files of variables, and -e after them', () => {
    const path = file('\uFEFFA=1\n# comment\n\n  B="two words"\r\nC=a=b # no comment\nHOME\nNOT_THERE_AT_ALL\nD=');
    const { env = [] } = request('-e', 'A=2', '--env-file', path);
    assert.deepEqual(env, ['A=1', 'B="two words"', 'C=a=b # no comment', `HOME=${process.env.HOME}`, 'D=', 'A=2']);
    const { labels } = request('--label-file', file('x=1\ny\n'), '--label', 'x=2');
    assert.deepEqual(labels, { x: '2', y: '' });
  });

  it('read a pipe to its end, and nothing from /dev/null', () => {
    const path = join(tempDir(), 'fifo');
    execFileSync('mkfifo', [path]);
    const writer = spawn('sh', ['-c', 'echo A=1 > "$0"', path]);
    assert.deepEqual(request('--env-file', path, '--env-file', '/dev/null').env, ['A=1']);
    writer.kill();
    assert.match(problem('--env-file', '/dev/zero'), /^invalid --env-file: \/dev\/zero is not a regular file$/);
  });

  it('name file and line where one is wrong', () => {
    for (const [text, what] of [
      ['A=1\n=2\n', /^invalid --env-file \S+\/env:2: missing name before the "="$/],
      ['A B=1', /^invalid --env-file \S+\/env:1: the name "A B" contains whitespace$/],
      ['A=\0', /^invalid --env-file \S+\/env:1: the line contains a NUL$/],
      [Buffer.from([0x41, 0x3d, 0xff]), /^invalid --env-file \S+\/env:1: the line is not UTF-8$/],
    ] as const) {
      assert.match(problem('--env-file', file(text)), what);
    }
    assert.match(problem('--env-file', '/no/such'), /^cannot read --env-file \/no\/such: no such file or directory$/);
    const dir = tempDir();
    mkdirSync(join(dir, 'sub'));
    assert.match(problem('--env-file', dir), /^cannot read --env-file \S+: .*directory$/);
    assert.match(problem('--label-file', file('=')), /^invalid --label-file \S+:1: missing name/);
  });
});
