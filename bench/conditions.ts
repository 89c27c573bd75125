// Conditions of a measurement: machine, versions, and checks for what would distort the figures.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { hasProgram } from '../test/setup/machine/requirements.js';
import { packageOf } from './availability.js';
import type { Candidate, Candidates } from './candidates/candidate.js';
import { congestionControl } from './environment/network.js';
import { type Account, runAs } from './environment/users.js';
import { type ProcessorTime, processorTime } from './measure/processor.js';
import { loadProgram } from './programs/load.js';

export interface Machine {
  processor: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  /** In the clients' network namespace, and the machine's default. */
  congestionControl: string;
  defaultCongestionControl: string;
}

export function describeMachine(defaultCongestionControl: string): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    congestionControl: congestionControl(),
    defaultCongestionControl,
  };
}

/** Programs of rows, with the option that prints the version; without one the package manager is asked. */
const rowPrograms: Readonly<Record<string, string | undefined>> = {
  iperf3: '--version',
  nginx: undefined,
  wrk: undefined,
  'redis-server': undefined,
  'redis-benchmark': '--version',
  dnsmasq: undefined,
  dnsperf: undefined,
};

/** Versions of node, of the candidates and of the rows' programs that are installed, by name. */
export function describeVersions(candidates: Candidates): Record<string, string> {
  const versions: Record<string, string> = { node: process.versions.node };
  for (const [name, candidate] of Object.entries(candidates)) {
    const version = candidate.root === undefined ? peerVersion(candidate) : checkoutVersion(candidate.root);
    if (version !== undefined) versions[name] = version;
  }
  for (const [program, argument] of Object.entries(rowPrograms)) {
    const version = programVersion(program, argument);
    if (version !== undefined) versions[program] = version;
  }
  return versions;
}

function peerVersion({ peer, programs: [program], version }: Candidate): string | undefined {
  return peer && program !== undefined ? programVersion(program, version) : undefined;
}

/** Undefined if the program is not there. */
function programVersion(program: string, argument: string | undefined): string | undefined {
  if (!hasProgram(program)) return undefined;
  const output = argument && spawnSync(program, [argument], { encoding: 'utf8' }).stdout;
  return findVersion(output ?? '') ?? packageVersion(program) ?? 'unknown';
}

/** The commit of another checkout, if it is one of git's, or the version of the package. */
function checkoutVersion(root: string): string {
  const git = ['-c', 'safe.directory=*', '-C', root, 'describe', '--always', '--dirty'];
  const { status, stdout } = spawnSync('git', git, { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version?: string };
  return version ?? 'unknown';
}

/**
 * The version in a program's output: "iperf 3.12 (…)", "rootlesskit version 1.1.0", "pasta 2024_01_01.abc", "socat version
 * 1.7.4.4 on …". Undefined if there is none ("pasta unknown version").
 */
export function findVersion(output: string): string | undefined {
  return /^[\w-]+ (?:version )?v?(\d\S*)/m.exec(output)?.[1];
}

/** The version of the Debian package that the program belongs to, if there is one. */
function packageVersion(program: string): string | undefined {
  const name = packageOf(program);
  if (name === undefined) return undefined;
  const { stdout } = spawnSync('dpkg-query', ['--status', name], { encoding: 'utf8' });
  return /^Version: (\S+)$/m.exec(stdout ?? '')?.[1];
}

/** Size in bytes of a pipe that is large enough: splicing forwarders request up to this. */
const largePipe = 2 ** 20;

/** A warning if that user cannot get a large pipe now, so that splicing would be slow. */
export function checkPipes(account: Account, root: string): string | undefined {
  const program = join(root, loadProgram);
  if (!existsSync(program)) return undefined;
  const [command = '', ...args] = runAs(account, [program, 'pipe']);
  const { stdout, status } = spawnSync(command, args, { encoding: 'utf8' });
  const size = Number(stdout);
  if (status !== 0 || size >= largePipe) return undefined;
  const who = account.user ?? 'this user';
  return `${who} gets pipes of ${size} bytes only (fs.pipe-user-pages-soft): splicing is slow; end other programs of ${who}`;
}

/** A warning if the machine was busy in the last minute. */
export function checkLoad(): string | undefined {
  const [minute = 0] = loadavg();
  if (minute < 0.5) return undefined;
  return `the load average is ${minute.toFixed(1)}: other programs use this machine, or did a minute ago`;
}

/** A warning if the hypervisor took more than a fiftieth of the time since then. */
export function checkSteal(since: ProcessorTime): string | undefined {
  const now = processorTime();
  const share = (now.steal - since.steal) / Math.max(1, now.total - since.total);
  if (share <= 0.02) return undefined;
  return `the hypervisor gave ${Math.round(share * 100)} % of this machine's processor time to others`;
}
