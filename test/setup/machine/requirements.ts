import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { isStatic } from '../../support/elf.js';

/**
 * Programs (full paths of those that are not in PATH) that the tests run, besides those of Debian's essential packages, and
 * the Debian packages that bring them. test/unit/tooling/run-programs.test.ts compares it with what the tests run.
 */
export const debianPackages: Readonly<Record<string, string>> = {
  nginx: 'nginx-light',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  'redis-benchmark': 'redis-tools',
  dnsmasq: 'dnsmasq-base',
  dig: 'bind9-dnsutils',
  iperf3: 'iperf3',
  busybox: 'busybox-static',
  socat: 'socat',
  git: 'git',
  'apt-get': 'apt',
  curl: 'curl',
  ping: 'iputils-ping',
  python3: 'python3',
  slirp4netns: 'slirp4netns',
  pasta: 'passt',
  iptables: 'iptables',
  'iptables-save': 'iptables',
  nft: 'nftables',
  rootlesskit: 'rootlesskit',
  rootlessctl: 'rootlesskit',
  ps: 'procps',
  pgrep: 'procps',
  kill: 'procps',
  mount: 'mount',
  umount: 'mount',
  awk: 'mawk',
  ip: 'iproute2',
  ss: 'iproute2',
  bridge: 'iproute2',
  openssl: 'openssl',
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  ctr: 'containerd',
  podman: 'podman',
  runc: 'runc',
  crun: 'crun',
  jq: 'jq',
  zsh: 'zsh',
  fish: 'fish',
  '/usr/lib/chromium/chromium-headless-shell': 'chromium-headless-shell',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
  'musl-gcc': 'musl-tools',
  systemctl: 'systemd',
  journalctl: 'systemd',
  'systemd-analyze': 'systemd',
  'systemd-run': 'systemd',
  'systemd-notify': 'systemd',
  'systemd-socket-activate': 'systemd',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  mmdebstrap: 'mmdebstrap',
};

/** As debianPackages, but run by the programs that the tests run, and by this project's. */
export const debianPackagesOfOthers: Readonly<Record<string, string>> = {
  // rootless-run.
  newuidmap: 'uidmap',
  newgidmap: 'uidmap',
  'lxc-checkconfig': 'lxc',
  'wireguard-go': 'wireguard-go',
  // dockerd, the CNI plugins and podman.
  ip6tables: 'iptables',
  'iptables-restore': 'iptables',
  'ip6tables-restore': 'iptables',
  'containerd-shim-runc-v2': 'containerd',
  'docker-init': 'docker.io',
  'docker-proxy': 'docker.io',
  'rootlesskit-docker-proxy': 'rootlesskit',
};

/** Files that the tests need besides programs: of the systemd that they boot, with a manager of the test user's. */
const debianFiles: Readonly<Record<string, string>> = {
  // It brings libpam-systemd along, which starts such managers.
  '/usr/lib/systemd/user/dbus.socket': 'dbus-user-session',
};

/** Programs without which single tests are left out: nothing installs them. */
export const optionalPrograms: readonly string[] = ['groff', 'troff', 'grotty', 'npm', 'postgres', 'psql'];

/** Where programs of the tests are searched: servers often live in sbin. */
export const testPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a program has to be, where one of that name may be another. */
const properties: Readonly<Record<string, (path: string) => boolean>> = {
  // It goes into root file systems that have nothing else; Debian's package busybox has one that is dynamic.
  busybox: isStatic,
};

/** Whether the file is a program, and what one of that name has to be. */
export function suits(name: string, path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() && (properties[name]?.(path) ?? true);
  } catch {
    return false;
  }
}

/**
 * Path of the program, which may be its name: in `testPath`, or in the PATH of an ordinary user. Undefined where it is not
 * there, or is not what it has to be.
 */
export function findProgram(name: string): string | undefined {
  // What only root finds may be closed to the user that the tests run as.
  const path = process.getuid?.() === 0 ? testPath : `${testPath}:${process.env.PATH ?? ''}`;
  const directories = path.split(':').filter((directory) => directory.startsWith('/'));
  const candidates = name.startsWith('/') ? [name] : directories.map((directory) => join(directory, name));
  return candidates.find((path) => suits(name, path));
}

/** True if the program is there and is what it has to be. */
export function hasProgram(name: string): boolean {
  return findProgram(name) !== undefined;
}

/** The packages whose programs or files are not there, sorted. */
export function missingPackages(
  has: (program: string) => boolean = hasProgram,
  hasFile: (path: string) => boolean = existsSync,
): string[] {
  const programs = Object.entries({ ...debianPackages, ...debianPackagesOfOthers }).filter(
    ([program]) => !has(program),
  );
  const files = Object.entries(debianFiles).filter(([path]) => !hasFile(path));
  return [...new Set([...programs, ...files].map(([, debianPackage]) => debianPackage))].sort();
}

/** A line of /etc/subuid or /etc/subgid: `count` ids from `first` on. */
export interface SubIdRange {
  user: string;
  first: number;
  count: number;
}

/** The ranges in a file such as /etc/subuid (see subuid(5)); none if the file is not there. */
export function readSubIds(file: string): SubIdRange[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  return parseSubIds(text);
}

/** The ranges in the text of such a file. */
export function parseSubIds(text: string): SubIdRange[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length === 3)
    .map(([user = '', first, count]) => ({ user, first: Number(first), count: Number(count) }));
}

/** The first id from 100,000 on that has `count` unused ids after it. */
export function freeSubIdStart(ranges: readonly SubIdRange[], count: number): number {
  let start = 100_000;
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    if (range.first + range.count <= start) continue;
    if (start + count <= range.first) break;
    start = range.first + range.count;
  }
  return start;
}

/** What an ordinary user who runs the integration tests lacks, each as one line with how to get it. */
export function missingForUser(): string[] {
  const missing: string[] = [];
  const packages = missingPackages();
  if (packages.length > 0) {
    missing.push(`programs; as root: apt-get install --no-install-recommends ${packages.join(' ')}`);
  }
  const { username, uid } = userInfo();
  const owners = new Set([username, String(uid)]);
  for (const [file, option] of [
    ['/etc/subuid', '--add-subuids'],
    ['/etc/subgid', '--add-subgids'],
  ] as const) {
    const ranges = readSubIds(file);
    if (ranges.some(({ user, count }) => owners.has(user) && count >= 65_536)) continue;
    const start = freeSubIdStart(ranges, 65_536);
    missing.push(
      `65536 ids for ${username} in ${file}; as root: usermod ${option} ${start}-${start + 65_535} ${username}`,
    );
  }
  const tun = tunProblem();
  if (tun) missing.push(tun);
  return missing;
}

/** What is wrong with /dev/net/tun for this process, if anything. */
function tunProblem(): string | undefined {
  if (!statSync('/dev/net/tun', { throwIfNoEntry: false })) {
    return '/dev/net/tun; as root: mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200';
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'access to /dev/net/tun; as root: chmod 666 /dev/net/tun';
  }
}
