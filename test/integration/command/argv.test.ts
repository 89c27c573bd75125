/** The exact command lines of the programs that are started, seen by programs that stand in for them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, run, tempDir } from '../../support/index.js';
import { pathWith } from '../../support/stacks/rootless-run.js';

/** Notes the arguments of each run, a line each, and an empty line, and fails; asked for help it prints `help`. */
const stub = (file: string, help: string) =>
  `case "$1" in --help) echo '${help}'; exit 0;; esac; printf '%s\\n' "$@" '' >> ${file}; echo 'only a stub' >&2; exit 3`;

interface Run {
  /** Arguments of slirp4netns or pasta in its first run, with the parts that differ from run to run named. */
  args: string[];
  /** The same of all runs. */
  runs: string[][];
  stderr: string;
}

async function argumentsOf(program: 'slirp4netns' | 'pasta', options: readonly string[], help = ''): Promise<Run> {
  const directory = tempDir();
  const file = join(directory, 'arguments');
  const stateDir = join(directory, 'state');
  const path = pathWith(['newuidmap', 'newgidmap', 'sh'], { [program]: stub(file, help) });
  const words = [`--net=${program}`, `--state-dir=${stateDir}`, ...options, '--', 'true'];
  const { code, stderr } = await run(binPath('rootless-run'), words, { env: { PATH: path } });
  assert.equal(code, 125, stderr);
  assert(existsSync(file), stderr);
  const named = (word: string) =>
    word
      .replaceAll(stateDir, 'STATE')
      .replace(/^\d{2,}$/, 'PID')
      .replace(/\/proc\/\d+\//, '/proc/PID/');
  const runs = readFileSync(file, 'utf8')
    .split('\n\n')
    .slice(0, -1)
    .map((lines) => lines.split('\n').map(named));
  return { args: runs[0] ?? [], runs, stderr };
}

describe('the command line of slirp4netns', () => {
  const help = '--enable-sandbox --enable-seccomp --netns-type=TYPE';
  const base = ['--configure', '--mtu=65520', '-r', '3', '--disable-host-loopback', '--cidr=10.0.2.0/24'];
  /** Tried first: what it does not have, or cannot do, is left out then. */
  const confined = ['--enable-sandbox', '--enable-seccomp'];
  const cases: [options: string[], expected: string[], help?: string][] = [
    [[], [...base, ...confined, 'PID', 'tap0']],
    [
      ['--allow-host-loopback'],
      [...base.filter((word) => word !== '--disable-host-loopback'), ...confined, 'PID', 'tap0'],
    ],
    [
      ['--mtu=1500', '--cidr=10.9.0.0/16', '--ifname=eth7'],
      [
        ...['--configure', '--mtu=1500', '-r', '3', '--disable-host-loopback', '--cidr=10.9.0.0/16'],
        ...[...confined, 'PID', 'eth7'],
      ],
    ],
    [['--ipv6'], [...base, ...confined, '--enable-ipv6', 'PID', 'tap0']],
    [
      ['--slirp4netns-sandbox=true', '--slirp4netns-seccomp=true'],
      [...base, ...confined, 'PID', 'tap0'],
    ],
    [['--slirp4netns-sandbox=false', '--slirp4netns-seccomp=false'], [...base, 'PID', 'tap0'], help],
    [['--port-driver=slirp4netns'], [...base, '--api-socket', 'STATE/.s4nn.sock', ...confined, 'PID', 'tap0']],
    [
      ['--detach-netns', '--slirp4netns-sandbox=auto', '--slirp4netns-seccomp=auto'],
      [
        ...base,
        '--enable-seccomp',
        '--userns-path=/proc/PID/ns/user',
        '--netns-type=path',
        '/proc/PID/rootSTATE/netns',
        'tap0',
      ],
      help,
    ],
  ];
  for (const [options, expected, text] of cases) {
    it(`with ${options.join(' ') || 'no options'}${text === undefined ? '' : `, whose help shows "${text}"`}`, async () => {
      const { args, stderr } = await argumentsOf('slirp4netns', options, text);
      assert.deepEqual(args, expected);
      assert.match(stderr, /slirp4netns failed: only a stub/);
    });
  }

  for (const [options, shown, last] of [
    [[], '--enable-seccomp', []],
    [[], '--enable-sandbox --enable-seccomp', []],
    [['--slirp4netns-sandbox=true'], 'an old one', ['--enable-sandbox']],
  ] as const) {
    it(`is tried with less if it fails (${options.join(' ')}), and its help shows "${shown}"`, async () => {
      const { runs } = await argumentsOf('slirp4netns', [...options], shown);
      const some = shown === '--enable-seccomp' ? [['--enable-seccomp']] : [];
      const expected = [confined, ...some, last].map((more) => [...base, ...more, 'PID', 'tap0']);
      assert.deepEqual(runs, expected);
    });
  }

  it('is that of the binary that was named', async () => {
    const file = join(tempDir(), 'arguments');
    const binary = join(pathWith([], { mine: stub(file, '') }), 'mine');
    const words = ['--net=slirp4netns', `--slirp4netns-binary=${binary}`, '--', 'true'];
    const { stderr } = await run(binPath('rootless-run'), words);
    assert.match(stderr, /only a stub/);
    assert(existsSync(file));
    const missing = await run(binPath('rootless-run'), [...words.slice(0, 1), '--slirp4netns-binary=no-such', 'true']);
    assert.match(
      missing.stderr,
      /^rootless-run: error: --net=slirp4netns cannot be used: --slirp4netns-binary=no-such: not found in PATH; hint: /,
    );
  });

  it('is not made if it is too old for a detached namespace', async () => {
    const path = pathWith(['newuidmap', 'newgidmap', 'sh'], { slirp4netns: stub('/dev/null', 'an old one') });
    const words = ['--net=slirp4netns', '--detach-netns', 'true'];
    const { stderr } = await run(binPath('rootless-run'), words, { env: { PATH: path } });
    assert.match(stderr, /slirp4netns is too old for --detach-netns: .*use 0\.4\.0 or later/);
  });
});

describe('the command line of pasta', () => {
  const base = ['--foreground', '--quiet', '--ns-ifname=tap0', '--mtu=65520', '--config-net'];
  const addresses = ['--address=10.0.2.100', '--netmask=24', '--gateway=10.0.2.2', '--dns-forward=10.0.2.3'];
  const noPorts = ['--tcp-ports=none', '--udp-ports=none', '--tcp-ns=none', '--udp-ns=none'];
  const implicit = ['--tcp-ports=auto', '--udp-ports=auto', '--udp-ns=none'];
  // With it, pasta need not lead the child's loopback to the host's.
  const implicitApart = [
    '--tcp-ports=auto',
    '--udp-ports=auto',
    '--tcp-ns=none',
    '--udp-ns=none',
    '--host-lo-to-ns-lo',
  ];
  const cases: [options: string[], expected: string[], help?: string][] = [
    [[], [...base, ...addresses, '--no-map-gw', '--ipv4-only', ...noPorts, 'PID']],
    [
      ['--allow-host-loopback', '--ipv6'],
      [...base, ...addresses, ...noPorts, 'PID'],
    ],
    [
      ['--mtu=9000', '--cidr=10.9.0.0/16', '--ifname=eth7'],
      [
        ...['--foreground', '--quiet', '--ns-ifname=eth7', '--mtu=9000', '--config-net', '--address=10.9.0.100'],
        ...['--netmask=16', '--gateway=10.9.0.2', '--dns-forward=10.9.0.3', '--no-map-gw', '--ipv4-only'],
        ...noPorts,
        'PID',
      ],
    ],
    [
      ['--port-driver=implicit'],
      [...base, ...addresses, '--no-map-gw', '--ipv4-only', ...implicit, 'PID'],
      'an old one',
    ],
    [
      ['--port-driver=implicit'],
      [...base, ...addresses, '--no-map-gw', '--ipv4-only', ...implicitApart, 'PID'],
      '--host-lo-to-ns-lo',
    ],
    [
      ['--detach-netns'],
      [
        ...[...base, ...addresses, '--no-map-gw', '--ipv4-only', ...noPorts],
        ...['--userns=/proc/PID/ns/user', '--netns=/proc/PID/rootSTATE/netns'],
      ],
    ],
  ];
  for (const [options, expected, help] of cases) {
    it(`with ${options.join(' ') || 'no options'}${help === undefined ? '' : `, whose help shows "${help}"`}`, async () => {
      const { args, stderr } = await argumentsOf('pasta', options, help);
      assert.deepEqual(args, expected);
      assert.match(stderr, /pasta failed: only a stub/);
    });
  }
});

describe('the command lines of newuidmap and newgidmap', () => {
  /** What each of them was given, after the pid. */
  async function maps(options: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
    const directory = tempDir();
    const file = (name: string) => join(directory, name);
    const note = (name: string) => `shift; echo "$@" > ${file(name)}; exit 3`;
    const path = pathWith(['sh'], { newuidmap: note('uid'), newgidmap: note('gid') });
    const words = ['--net=none', ...options, 'true'];
    const { code, stderr } = await run(binPath('rootless-run'), words, {
      env: { ...env, PATH: path },
    });
    assert.equal(code, 125);
    assert.match(stderr, /failed to set up the id map: .*new[ug]idmap/);
    // The one that fails first ends the start, so the other may be missing.
    return ['uid', 'gid'].map((name) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim() : ''));
  }

  it('have the ranges of the files', async () => {
    const [uid = '', gid = ''] = await maps(['--subid-source=static']);
    const own = `0 ${process.getuid?.()} 1 1 `;
    assert((uid || gid).startsWith(own) || (gid || uid).startsWith(`0 ${process.getgid?.()} 1 1 `), `${uid}; ${gid}`);
    assert.match(uid || gid, /^0 \d+ 1 1 \d+ 65536$/);
  });

  it('have all ranges of getsubids, once each, one after the other', async () => {
    const getsubids = join(
      pathWith([], {
        getsubids: 'echo "0: user 200000 1000"; echo "1: user 300000 50"; echo "2: user 200000 1000"',
      }),
      'getsubids',
    );
    const [uid, gid] = await maps(['--subid-source=dynamic'], { GETSUBIDS: getsubids });
    assert.match(uid || gid || '', /^0 \d+ 1 1 200000 1000 1001 300000 50$/);
  });
});
