// The time to run `true` in a container: by this package on a running stack, and by the OCI runtime alone.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../test/setup/machine/requirements.js';
import { run } from '../../test/support/run.js';
import { type Account, runAs } from '../environment/users.js';
import { median } from '../report/statistics.js';

/** Runs in a round; their median is the figure. */
const TIMES = 5;

/** What containers are run of. */
export interface Box {
  /** Root file system with `true`. */
  rootfs: string;
  /** A bundle with that, for the OCI runtime. */
  bundle: string;
  /** Directory for the OCI runtime's state. */
  state: string;
}

/** Makes it below a directory; undefined if a program is missing. */
export function makeBox(directory: string): Box | undefined {
  const busybox = findProgram('busybox');
  if (busybox === undefined || findProgram('runc') === undefined) return undefined;
  const bundle = join(directory, 'bundle');
  const rootfs = join(bundle, 'rootfs');
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(busybox, join(rootfs, 'bin', 'busybox'));
  symlinkSync('busybox', join(rootfs, 'bin', 'true'));
  writeConfiguration(bundle);
  return { rootfs, bundle, state: join(directory, 'runc') };
}

interface RuncSpec {
  process: { terminal?: boolean; args: string[] };
  root: { path: string; readonly?: boolean };
  mounts: { type?: string }[];
  linux: { resources?: object; cgroupsPath?: string };
}

/** The runtime's own template, without what an unprivileged user has no cgroup for. */
function writeConfiguration(bundle: string): void {
  const { status, stderr } = spawnSync('runc', ['spec'], { cwd: bundle, encoding: 'utf8' });
  if (status !== 0) throw new Error(`runc spec failed: ${stderr}`);
  const file = join(bundle, 'config.json');
  const spec = JSON.parse(readFileSync(file, 'utf8')) as RuncSpec;
  spec.process.terminal = false;
  spec.process.args = ['/bin/true'];
  spec.mounts = spec.mounts.filter(({ type }) => type !== 'cgroup');
  delete spec.linux.resources;
  delete spec.linux.cgroupsPath;
  writeFileSync(file, JSON.stringify(spec));
}

/** On the account's running stack, with a network as any container has it. */
export function runCommand({ account, root }: { account: Account; root: string }, { rootfs }: Box): string[] {
  const program = join(root, 'dist/bin/rootless-net');
  return runAs(account, [program, 'run', '--rm', '--rootfs', rootfs, '--', '/bin/true']);
}

/** In the namespaces of the stack whose agent that is. */
export function runcCommand({ bundle, state }: Box, agentPid: number): string[] {
  const into = ['nsenter', `--target=${agentPid}`, '--user', '--mount', '--net', '--'];
  return [...into, 'runc', '--root', state, 'run', '--bundle', bundle, 'bench'];
}

/** The median time of a command, in ms. */
export async function timeRuns([program = '', ...args]: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    const since = performance.now();
    const { code, stdout, stderr } = await run(program, args);
    if (code !== 0) throw new Error(`${[program, ...args].join(' ')} failed:\n${stderr || stdout}`);
    times.push(performance.now() - since);
  }
  return median(times);
}
