/** A systemd with a manager of the test user's, in namespaces of its own. Only root can make one. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { testUser } from '../setup/machine/prepare.js';
import { readableCopy } from '../setup/readable-copy.js';
import { processTree, type RunResult, repoRoot, run, start, tempDir } from '../support/index.js';

export interface SystemManager extends AsyncDisposable {
  /** The program of that name, as words of a command. */
  program(name: 'rootless-run' | 'rootlesskit' | 'rootlessctl' | 'rootless-net'): string[];
  /** Path of one of test/scripts. */
  script(name: string): string;
  /** Runs a program in it as root … */
  root(...command: string[]): Promise<RunResult>;
  /** … or as the test user, whose manager it can reach. */
  user(...command: string[]): Promise<RunResult>;
  readonly home: string;
  readonly runtimeDir: string;
  /** A directory that is the same in it and here, open to the test user. */
  readonly shared: string;
}

/** Where cgroup2 is mounted: below that of v1 on a machine that has both. */
const CGROUPS = existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup';

export async function bootSystemd(): Promise<SystemManager> {
  const shared = tempDir();
  chmodSync(shared, 0o755);
  const { node, root } = readableCopy(shared, testUser);
  const group = join(CGROUPS, `rootless-net-test-${randomUUID()}`);
  mkdirSync(group);
  const uid = Number(spawnSync('id', ['-u', testUser], { encoding: 'utf8' }).stdout);
  const [home, runtimeDir] = [`/home/${testUser}`, `/run/user/${uid}`];
  const namespaces = ['--mount', '--pid', '--cgroup', '--uts', '--ipc', '--net', '--fork', '--kill-child'];
  // In a cgroup of its own before the namespace of cgroups is made, which begins there.
  const script = `echo $$ > ${group}/cgroup.procs; exec unshare ${namespaces.join(' ')} --propagation private bash "$@"`;
  let pid = 0;
  const enter = (...words: string[]) => run('nsenter', [`--target=${pid}`, '--all', '--', ...words]);
  const boot = join(repoRoot, 'test/system/boot-systemd.sh');
  // One directory that was made for the tests, as a rule.
  const path = process.env.PATH ?? '';
  const binds = [root, shared, ...(path.includes(':') ? [] : [path])];
  const started = await start('bash', ['-c', script, 'bash', boot, tempDir(), testUser, ...binds], {
    ready: {
      check: async () => {
        pid = processTree(process.pid).find(({ args }) => args[0] === '/lib/systemd/systemd')?.pid ?? 0;
        if (pid === 0) return false;
        const { stdout } = await enter('systemctl', 'is-active', 'multi-user.target', `user@${uid}.service`);
        return stdout === 'active\nactive\n';
      },
    },
  });
  const environment = [
    `HOME=${home}`,
    `USER=${testUser}`,
    `LOGNAME=${testUser}`,
    `PATH=${path}`,
    `ROOTLESS_NET_NODE=${node}`,
    `XDG_RUNTIME_DIR=${runtimeDir}`,
    `DBUS_SESSION_BUS_ADDRESS=unix:path=${runtimeDir}/bus`,
  ];
  const asUser = ['setpriv', `--reuid=${testUser}`, `--regid=${testUser}`, '--init-groups', 'env', '-i', '-C', home];
  return {
    program: (name) => [join(root, 'dist/bin', name)],
    script: (name) => join(root, 'test/scripts', name),
    root: enter,
    user: (...command) => enter(...asUser, ...environment, ...command),
    home,
    runtimeDir,
    shared,
    async [Symbol.asyncDispose]() {
      // Everything in its pid namespace goes with it.
      process.kill(pid, 'SIGKILL');
      await started.ended;
      removeGroup(group);
    },
  };
}

function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  }
  rmdirSync(path);
}
