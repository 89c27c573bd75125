import type { Problem } from '../errors.js';
import type { Check, Machine } from './check.js';

export const builtin: Check = async (machine) => {
  const name = 'builtin-network';
  let problem: Problem | undefined;
  try {
    problem = await machine.gatewayProblem();
  } catch {
    // The check of namespaces has the reason.
    return { name, status: 'warning', what: 'without namespaces the network driver builtin cannot be tried' };
  }
  if (problem === undefined) {
    if (!(await machine.gatewayTranslates())) return { name, status: 'ok', what: 'the network driver builtin works' };
    const what = 'the network driver builtin works, by NAT: the kernel has no TPROXY in nf_tables (CONFIG_NFT_TPROXY)';
    return { name, status: 'ok', what, fix: 'sudo modprobe nft_tproxy' };
  }
  const other = await insteadOf(machine, ['slirp4netns', 'pasta']);
  const what = `the network driver builtin cannot be used: ${problem.what}`;
  return { name, status: other ? 'ok' : 'warning', ...problem, what: `${what}${other ?? NO_OUTBOUND}` };
};

export const tunDevice: Check = async (machine) => {
  const name = 'tun';
  const problem = await machine.tunProblem();
  if (problem === undefined) return { name, status: 'ok', what: '/dev/net/tun can be opened' };
  const other = await insteadOf(machine, ['builtin']);
  return { name, status: other ? 'ok' : 'warning', ...problem, what: `${problem.what}${other ?? NO_OUTBOUND}` };
};

/** Older versions of slirp4netns cannot be given a namespace by path. */
const LEAST_SLIRP = [0, 4];

export const slirp4netns: Check = async (machine) => {
  const name = 'slirp4netns';
  const version = await versionOf(machine, name);
  if (version === undefined) {
    const other = await insteadOf(machine, ['builtin', 'pasta']);
    const what = `slirp4netns is not installed${other ?? NO_OUTBOUND}`;
    return { name, status: other ? 'ok' : 'warning', what, fix: 'sudo apt-get install slirp4netns' };
  }
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  const [leastMajor = 0, leastMinor = 0] = LEAST_SLIRP;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    return {
      name,
      status: 'warning',
      what: `${version} is older than 0.4.0: --detach-netns does not work`,
      fix: 'upgrade slirp4netns',
    };
  }
  return { name, status: 'ok', what: version };
};

export const pasta: Check = async (machine) => {
  const version = await versionOf(machine, 'pasta');
  if (version !== undefined) return { name: 'pasta', status: 'ok', what: version };
  const other = await insteadOf(machine, ['builtin', 'slirp4netns']);
  const what = `pasta is not installed${other ?? NO_OUTBOUND}`;
  return { name: 'pasta', status: other ? 'ok' : 'warning', what, fix: 'sudo apt-get install passt' };
};

const NO_OUTBOUND = ': no outbound network';

/** "; DRIVER is used" for the first of these network drivers that can be used here. */
async function insteadOf(machine: Machine, drivers: readonly string[]): Promise<string | undefined> {
  for (const driver of drivers) {
    const works =
      driver === 'builtin'
        ? await machine.gatewayProblem().then(
            (problem) => problem === undefined,
            () => false,
          )
        : (await machine.find(driver)) !== undefined && (await machine.tunProblem()) === undefined;
    if (works) return `; ${driver} is used`;
  }
  return undefined;
}

/** First line of the output of --version; undefined if the program is not installed. */
async function versionOf(machine: Machine, program: string): Promise<string | undefined> {
  const path = await machine.find(program);
  if (path === undefined) return undefined;
  const { output } = await machine.run(path, '--version');
  return output.trim().split('\n')[0] || `${program}, of unknown version`;
}

export const unprivilegedPorts: Check = async (machine) => {
  const name = 'unprivileged-ports';
  const first = Number((await machine.read('/proc/sys/net/ipv4/ip_unprivileged_port_start')) || '1024');
  if (first <= 80) return { name, status: 'ok', what: `ports from ${first} on can be published` };
  return {
    name,
    status: 'ok',
    what: `ports from ${first} on can be published, those below it by systemd`,
    fix: `rootless-run systemd install -s 80:8080\nor for everybody: sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80`,
  };
};

export const ping: Check = async (machine) => {
  const name = 'ping';
  const [from = 1, to = 0] = (await machine.read('/proc/sys/net/ipv4/ping_group_range'))
    .trim()
    .split(/\s+/)
    .map(Number);
  const { gid } = machine.user;
  if (from <= gid && gid <= to) return { name, status: 'ok', what: 'ping reaches the outside' };
  const fix = `sudo sysctl -w "net.ipv4.ping_group_range=0 2147483647"`;
  return {
    name,
    status: 'warning',
    what: `ping does not reach the outside: ping_group_range does not include group ${gid}`,
    fix,
  };
};

export const congestionControl: Check = async (machine) => {
  const name = 'congestion-control';
  const algorithm = (await machine.read('/proc/sys/net/ipv4/tcp_congestion_control')).trim();
  const what = algorithm.startsWith('bbr')
    ? `${algorithm} paces loopback; published ports use another algorithm there`
    : `${algorithm || 'unknown'}`;
  return { name, status: 'ok', what };
};
