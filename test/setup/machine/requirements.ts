import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';

/** Programs (full paths of those that are not in PATH) that the integration tests run, and the Debian packages that bring them. */
export const debianPackages: Readonly<Record<string, string>> = {
  nginx: 'nginx-light',
  'redis-server': 'redis-server',
  'redis-benchmark': 'redis-tools',
  dnsmasq: 'dnsmasq-base',
  dig: 'bind9-dnsutils',
  iperf3: 'iperf3',
  busybox: 'busybox-static',
  socat: 'socat',
  curl: 'curl',
  slirp4netns: 'slirp4netns',
  pasta: 'passt',
  newuidmap: 'uidmap',
  iptables: 'iptables',
  nft: 'nftables',
  rootlesskit: 'rootlesskit',
  ps: 'procps',
  ip: 'iproute2',
  ss: 'iproute2',
  openssl: 'openssl',
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  ctr: 'containerd',
  podman: 'podman',
  runc: 'runc',
  crun: 'crun',
  jq: 'jq',
  'lxc-checkconfig': 'lxc',
  script: 'bsdutils',
  'systemd-socket-activate': 'systemd',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
};

/** PATH of the tests: servers often live in sbin. */
export const testPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** True if the program is in `testPath`, or at its full path. */
export function hasProgram(name: string): boolean {
  const directories = name.startsWith('/') ? [''] : testPath.split(':').map((directory) => `${directory}/`);
  return directories.some((directory) => {
    try {
      accessSync(`${directory}${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The packages whose programs are not there, sorted. */
export function missingPackages(has: (program: string) => boolean = hasProgram): string[] {
  const missing = Object.entries(debianPackages)
    .filter(([program]) => !has(program))
    .map(([, debianPackage]) => debianPackage);
  return [...new Set(missing)].sort();
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

/** The first id from 100,000 on that has `count` ids after it which belong to nobody. */
export function freeSubIdStart(ranges: readonly SubIdRange[], count: number): number {
  let start = 100_000;
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    if (range.first + range.count <= start) continue;
    if (start + count <= range.first) break;
    start = range.first + range.count;
  }
  return start;
}

/** What an ordinary user who runs the integration tests lacks, each as one line that says how to get it. */
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
