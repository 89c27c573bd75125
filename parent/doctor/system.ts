import type { Check } from './check.js';

export const user: Check = async ({ user: { uid, name } }) =>
  uid === 0
    ? {
        name: 'user',
        status: 'warning',
        what: 'this is root: rootless-run is for ordinary users',
        fix: 'run it as another user',
      }
    : { name: 'user', status: 'ok', what: `${name || 'a user without a name'}, uid ${uid}` };

const DELEGATE = `sudo mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf
sudo systemctl daemon-reload`;

export const cgroups: Check = async (machine) => {
  const name = 'cgroups';
  const mounts = (await machine.read('/proc/self/mountinfo')).split('\n');
  const root = mounts
    .map((line) => line.split(' - '))
    .find(([, after]) => after?.startsWith('cgroup2 '))?.[0]
    ?.split(' ')[4];
  if (root === undefined) {
    return {
      name,
      status: 'warning',
      what: 'cgroup2 is not mounted: containers have no limits',
      fix: 'boot with systemd.unified_cgroup_hierarchy=1',
    };
  }
  const { uid } = machine.user;
  const slice = `${root}/user.slice/user-${uid}.slice/user@${uid}.service/cgroup.controllers`;
  const delegated = (await machine.read(slice)).trim();
  if (root !== '/sys/fs/cgroup') {
    const fix = 'boot with systemd.unified_cgroup_hierarchy=1';
    return {
      name,
      status: 'warning',
      what: `cgroup2 is mounted beside cgroup v1 (${root}): containers have no limits`,
      fix,
    };
  }
  const missing = ['cpu', 'memory', 'pids'].filter((controller) => !delegated.split(' ').includes(controller));
  if (missing.length === 0) return { name, status: 'ok', what: `delegated to the user: ${delegated}` };
  return {
    name,
    status: 'warning',
    what: `not delegated to the user: ${missing.join(', ')}: containers have no such limits`,
    fix: DELEGATE,
  };
};

export const userManager: Check = async (machine) => {
  const name = 'systemd';
  const { code, output } = await machine.run('systemctl', '--user', 'is-system-running');
  const state = output.trim().split('\n')[0] ?? '';
  if (code !== 0 && !/^(running|degraded|starting)/.test(state)) {
    return {
      name,
      status: 'warning',
      what: `no user manager of systemd can be reached${state === '' ? '' : ` (${state})`}: rootless-run systemd does not work`,
      fix: `sudo loginctl enable-linger ${machine.user.name}, and log in again`,
    };
  }
  if ((await machine.stat(`/var/lib/systemd/linger/${machine.user.name}`)) === undefined) {
    const fix = `loginctl enable-linger ${machine.user.name}`;
    return { name, status: 'warning', what: 'services of the user end when the user logs out', fix };
  }
  return { name, status: 'ok', what: 'services of the user run from boot on' };
};

const FEW_FILES = 20_000;

export const openFiles: Check = async (machine) => {
  const name = 'open-files';
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(await machine.read('/proc/self/limits'))?.[1] ?? 'unlimited';
  if (hard === 'unlimited' || Number(hard) >= FEW_FILES) return { name, status: 'ok', what: `up to ${hard}` };
  return {
    name,
    status: 'warning',
    what: `up to ${hard}: about ${Math.floor(Number(hard) / 2)} connections at a time`,
    fix: `printf '${machine.user.name} hard nofile 524288\\n' | sudo tee /etc/security/limits.d/rootless-net.conf`,
  };
};
