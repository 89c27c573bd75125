import assert from 'node:assert/strict';
import { examine, type Finding, type Machine } from '../../../parent/doctor/index.js';
import { NamespaceError } from '../../../parent/errors.js';

/** A machine on which everything works, with changes. */
function machine(changes: Partial<Machine> & { files?: Record<string, string>; without?: string[] } = {}): Machine {
  const { files = {}, without = [], ...rest } = changes;
  const all: Record<string, string> = {
    '/proc/sys/net/ipv4/ip_unprivileged_port_start': '1024\n',
    '/proc/sys/net/ipv4/ping_group_range': '0\t2147483647\n',
    '/proc/sys/net/ipv4/tcp_congestion_control': 'cubic\n',
    '/proc/sys/user/max_user_namespaces': '28633\n',
    '/proc/self/limits': 'Max open files            1024                 524288               files     \n',
    '/proc/self/mountinfo': '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
    '/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers': 'cpu memory pids\n',
    ...files,
  };
  return {
    user: { uid: 1000, gid: 1000, name: 'alice' },
    read: async (path) => all[path] ?? '',
    stat: async (path) => (without.includes(path) ? undefined : { mode: 0o104755, uid: 0 }),
    find: async (program) => (without.includes(program) ? undefined : `/usr/bin/${program}`),
    run: async (program) => {
      const outputs: Record<string, string> = {
        '/usr/bin/slirp4netns': 'slirp4netns version 1.2.0\ncommit: x\n',
        '/usr/bin/pasta': 'pasta unknown version\nCopyright\n',
        systemctl: 'running\n',
      };
      return { code: 0, output: outputs[program] ?? '' };
    },
    gatewayProblem: async () => undefined,
    gatewayTranslates: async () => false,
    tunProblem: async () => undefined,
    subIdProblem: async () => undefined,
    tryNamespaces: async () => {},
    hostNetworks: async () => [{ subnet: '10.8.0.0/16', what: "the host's route 10.8.0.0/16 dev tun0" }],
    containerNetworks: async () => [{ name: 'bridge', subnet: '10.4.0.0/24', own: true, file: '/f' }],
    launcher: '/opt/rootless-net/launcher',
    ...rest,
  };
}

const gatewayProblem = async () => ({ what: 'the kernel has no X', fix: 'modprobe' });

async function finding(name: string, of: Machine): Promise<Finding> {
  const found = (await examine(of)).find((item) => item.name === name);
  assert(found, name);
  assert.doesNotMatch(found.what, /\n/, 'one line');
  return found;
}

describe('the doctor', () => {
  it('reports nothing where all works', async () => {
    const findings = await examine(machine());
    assert.deepEqual(
      findings.filter(({ status }) => status !== 'ok'),
      [],
    );
    assert.equal(new Set(findings.map(({ name }) => name)).size, findings.length);
    assert(findings.length >= 13);
  });

  it('names networks that the host reaches by a route of its own, and how to move them', async () => {
    const containerNetworks = async () => [
      { name: 'bridge', subnet: '10.4.0.0/24', own: true, file: '/f' },
      { name: 'back', subnet: '10.8.1.0/24', own: true, file: '/g' },
      { name: 'others', subnet: '10.0.0.0/12', own: false, file: '/h' },
    ];
    const what = "the host's route 10.8.0.0/16 dev tun0";
    assert.deepEqual(await finding('subnets', machine({ containerNetworks })), {
      name: 'subnets',
      status: 'warning',
      what: `10.8.1.0/24 of the network back overlaps ${what}; 10.0.0.0/12 of the network others overlaps ${what}: unreachable for a stack that uses it`,
      fix: 'rootless-net network update back --subnet CIDR\nchange the subnet in /h',
    });
    const { status } = await finding('subnets', machine({ hostNetworks: async () => undefined }));
    assert.equal(status, 'warning');
  });

  it('prints a profile for the launcher where AppArmor prevents it', async () => {
    const refused = machine({
      tryNamespaces: async () => {
        throw new NamespaceError('refused', { what: 'AppArmor', fix: 'one line' });
      },
      files: { '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1\n' },
    });
    const { status, fix = '' } = await finding('user-namespaces', refused);
    assert.equal(status, 'failed');
    assert.match(fix, /^sudo tee \/etc\/apparmor\.d\/opt\.rootless-net\.launcher <<'END'\nabi <abi\/4\.0>,\n/);
    assert.match(
      fix,
      /\nprofile opt\.rootless-net\.launcher \/opt\/rootless-net\/launcher flags=\(unconfined\) \{\n {2}userns,\n\}\nEND\nsudo systemctl reload apparmor$/,
    );
  });

  const cases: [name: string, status: Finding['status'], what: RegExp, fix: RegExp | undefined, of: Machine][] = [
    [
      'user-namespaces',
      'failed',
      /^not today$/,
      /^sudo sysctl -w x=1$/,
      machine({
        tryNamespaces: async () => {
          throw new NamespaceError('cannot make them', { what: 'not today', fix: 'sudo sysctl -w x=1' });
        },
      }),
    ],
    [
      'user-namespaces',
      'warning',
      /at most 15 /,
      /max_user_namespaces=28633/,
      machine({ files: { '/proc/sys/user/max_user_namespaces': '15\n' } }),
    ],
    ['user', 'warning', /root/, /another user/, machine({ user: { uid: 0, gid: 0, name: 'root' } })],
    [
      'sub-ids',
      'warning',
      /^alice has none: only root is mapped$/,
      /^usermod$/,
      machine({ subIdProblem: async () => ({ what: 'alice has none', fix: 'usermod' }) }),
    ],
    ['newuidmap', 'warning', /newgidmap is not installed/, /uidmap/, machine({ without: ['newgidmap'] })],
    [
      'newuidmap',
      'failed',
      /\/usr\/bin\/newuidmap may not map ids/,
      /chmod u\+s \/usr\/bin\/newuidmap/,
      machine({ stat: async () => ({ mode: 0o100755, uid: 0 }) }),
    ],
    ['builtin-network', 'ok', /^the network driver builtin works$/, undefined, machine()],
    [
      'builtin-network',
      'ok',
      /works, by NAT: the kernel has no TPROXY/,
      /modprobe nft_tproxy/,
      machine({ gatewayTranslates: async () => true }),
    ],
    [
      'builtin-network',
      'ok',
      /cannot be used: the kernel has no X; slirp4netns is used$/,
      /^modprobe$/,
      machine({ gatewayProblem }),
    ],
    [
      'builtin-network',
      'warning',
      /cannot be used: the kernel has no X: no outbound network$/,
      /^modprobe$/,
      machine({ gatewayProblem, without: ['slirp4netns', 'pasta'] }),
    ],
    [
      'builtin-network',
      'warning',
      /without namespaces/,
      undefined,
      machine({
        gatewayProblem: async () => {
          throw new NamespaceError('refused');
        },
      }),
    ],
    [
      'tun',
      'ok',
      /^closed; builtin is used$/,
      /^chmod$/,
      machine({ tunProblem: async () => ({ what: 'closed', fix: 'chmod' }) }),
    ],
    [
      'tun',
      'warning',
      /^closed: no outbound network$/,
      /^chmod$/,
      machine({ gatewayProblem, tunProblem: async () => ({ what: 'closed', fix: 'chmod' }) }),
    ],
    ['slirp4netns', 'ok', /not installed; builtin is used/, /slirp4netns/, machine({ without: ['slirp4netns'] })],
    [
      'slirp4netns',
      'ok',
      /not installed; pasta is used/,
      /slirp4netns/,
      machine({ gatewayProblem, without: ['slirp4netns'] }),
    ],
    [
      'pasta',
      'warning',
      /no outbound network/,
      /passt/,
      machine({ gatewayProblem, without: ['slirp4netns', 'pasta'] }),
    ],
    [
      'slirp4netns',
      'warning',
      /0\.3\.9 is older than 0\.4\.0/,
      /upgrade/,
      machine({ run: async () => ({ code: 0, output: 'slirp4netns version 0.3.9' }) }),
    ],
    ['pasta', 'ok', /^pasta unknown version$/, undefined, machine()],
    ['containers', 'ok', /by runc and crun$/, undefined, machine()],
    ['containers', 'ok', /by crun$/, undefined, machine({ without: ['runc'] })],
    [
      'containers',
      'warning',
      /cannot run containers: an OCI runtime, nft missing$/,
      /^sudo apt-get install runc nftables$/,
      machine({ without: ['runc', 'crun', 'nft'] }),
    ],
    ['wireguard', 'ok', /^the kernel has WireGuard$/, undefined, machine()],
    [
      'wireguard',
      'ok',
      /^the kernel has WireGuard$/,
      undefined,
      machine({
        without: ['/sys/module/wireguard'],
        files: {
          '/proc/sys/kernel/osrelease': '6.1.0\n',
          '/lib/modules/6.1.0/modules.dep': 'kernel/drivers/net/wireguard/wireguard.ko.xz: kernel/x.ko.xz\n',
        },
      }),
    ],
    ['wireguard', 'ok', /wireguard-go is used/, undefined, machine({ without: ['/sys/module/wireguard'] })],
    [
      'wireguard',
      'warning',
      /wireguard-go is not installed: networks over several hosts cannot be used$/,
      /^sudo apt-get install wireguard-go$/,
      machine({ without: ['/sys/module/wireguard', 'wireguard-go'] }),
    ],
    [
      'wireguard',
      'warning',
      /^the kernel has no WireGuard, and no tun: networks/,
      /^mknod$/,
      machine({ without: ['/sys/module/wireguard'], tunProblem: async () => ({ what: 'no tun', fix: 'mknod' }) }),
    ],
    ['unprivileged-ports', 'ok', /from 1024 on/, /systemd install -s 80:8080/, machine()],
    [
      'unprivileged-ports',
      'ok',
      /from 0 on/,
      undefined,
      machine({ files: { '/proc/sys/net/ipv4/ip_unprivileged_port_start': '0\n' } }),
    ],
    [
      'ping',
      'warning',
      /group 1000/,
      /ping_group_range=0 2147483647/,
      machine({ files: { '/proc/sys/net/ipv4/ping_group_range': '1\t0\n' } }),
    ],
    [
      'congestion-control',
      'ok',
      /^bbr paces/,
      undefined,
      machine({ files: { '/proc/sys/net/ipv4/tcp_congestion_control': 'bbr\n' } }),
    ],
    [
      'open-files',
      'warning',
      /^up to 4096: about 2048 connections/,
      /alice hard nofile/,
      machine({
        files: { '/proc/self/limits': 'Max open files            1024                 4096                 files\n' },
      }),
    ],
    [
      'cgroups',
      'warning',
      /not mounted/,
      /unified_cgroup_hierarchy/,
      machine({ files: { '/proc/self/mountinfo': '' } }),
    ],
    [
      'cgroups',
      'warning',
      /beside cgroup v1/,
      /unified_cgroup_hierarchy/,
      machine({ files: { '/proc/self/mountinfo': '31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n' } }),
    ],
    [
      'cgroups',
      'warning',
      /not delegated to the user: cpu:/,
      /delegate\.conf/,
      machine({
        files: {
          '/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers': 'memory pids\n',
        },
      }),
    ],
    [
      'systemd',
      'warning',
      /\(offline\)/,
      /enable-linger alice/,
      machine({ run: async () => ({ code: 1, output: 'offline\n' }) }),
    ],
    [
      'systemd',
      'warning',
      /end when the user logs out/,
      /^loginctl enable-linger alice$/,
      machine({ without: ['/var/lib/systemd/linger/alice'] }),
    ],
  ];
  for (const [name, status, what, fix, of] of cases) {
    it(`reports about ${name} ${what.source}`, async () => {
      const found = await finding(name, of);
      assert.equal(found.status, status);
      assert.match(found.what, what);
      if (fix) assert.match(found.fix ?? '', fix);
      else assert.equal(found.fix, undefined);
    });
  }
});
