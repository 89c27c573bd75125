// How the start scripts of Docker 20 to 29 and of containerd call rootlesskit, with what their users set.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run, tempDir } from '../../support/index.js';
import { makeHome } from './programs.js';

interface Script {
  name: string;
  stateDir: string;
  copyUp: readonly string[];
  /** Whether it asks for a detached network namespace by itself. */
  detached: boolean;
  mtu?: string;
}

const docker = { stateDir: 'dockerd-rootless', copyUp: ['/etc', '/run'] };
const containerd = { stateDir: 'containerd-rootless', copyUp: ['/etc', '/run', '/var/lib'], detached: true };

const scripts: readonly Script[] = [
  { ...docker, name: 'Docker 20 to 24', detached: false, mtu: '1500' },
  { ...docker, name: 'Docker 25 to 29.4', detached: false },
  { ...docker, name: 'Docker since 29.5', detached: true },
  { ...containerd, name: 'containerd' },
];

/** The network, the port driver, and what users have in ROOTLESSKIT_FLAGS. */
const settings: readonly (readonly [net: string, portDriver: string, flags?: string])[] = [
  ['slirp4netns', 'builtin'],
  ['slirp4netns', 'slirp4netns'],
  ['pasta', 'implicit', '-p 0.0.0.0:18080:80/tcp'],
  ['pasta', 'pesto', '--ipv6'],
  ['gvisor-tap-vsock', 'builtin'],
  ['gvisor-tap-vsock', 'gvisor-tap-vsock', '--ifname= --cidr= --mtu=0x5dc'],
  ['vpnkit', 'builtin', '--publish= --pidns'],
];

// What the scripts do inside before they start the daemon, and what that sees.
const INSIDE = `
rm -f /run/docker /run/containerd /run/xtables.lock
mkdir -p /run/containerd && mount --bind "$XDG_RUNTIME_DIR" /run/containerd
netns=/proc/self/ns/net; test -e "$ROOTLESSKIT_STATE_DIR/netns" && netns=$ROOTLESSKIT_STATE_DIR/netns && echo detached
nsenter -n"$netns" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
nsenter -n"$netns" ip -4 -o addr show dev tap0 | grep -o 'inet [0-9.]*'
stat -f -c %T /etc /run | uniq
rootlessctl info | grep Driver`;

describe('start scripts', () => {
  for (const { name, stateDir, copyUp, detached, mtu = '65520' } of scripts) {
    it(`of ${name} start with each of their drivers`, async () => {
      const { env } = makeHome(tempDir());
      const starts = settings.map(async ([net, portDriver, flags = ''], index) => {
        const path = join(env.XDG_RUNTIME_DIR, `${stateDir}-${index}`);
        mkdirSync(path);
        const words = [
          ...[`--state-dir=${path}`, `--net=${net}`, `--mtu=${mtu}`, '--slirp4netns-sandbox=auto'],
          ...['--slirp4netns-seccomp=auto', '--disable-host-loopback', `--port-driver=${portDriver}`],
          ...copyUp.map((directory) => `--copy-up=${directory}`),
          ...['--propagation=rslave', ...(detached ? ['--detach-netns'] : []), ...flags.split(' ').filter(Boolean)],
        ];
        const { code, stdout, stderr } = await run('rootlesskit', [...words, 'sh', '-euc', INSIDE], { env });
        assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
        const driver = portDriver === 'implicit' ? [] : [`- Port Driver: ${portDriver}`];
        assert.deepEqual(stdout.trim().split('\n'), [
          ...(detached ? ['detached'] : []),
          ...['inet 10.0.2.100', 'tmpfs', `- Network Driver: ${net}`, ...driver],
        ]);
        assert.match(stderr, /^(time="[^"]*" level=warning msg="[^\n]*"\n)*$/);
      });
      await Promise.all(starts);
    });
  }
});
