// A host of a test's own: user, mount and network namespaces with a device, and a resolv.conf that the test writes.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResult, run } from '../run.js';
import { tempDir } from '../temp-dir.js';

/** Becomes "$@". */
const SCRIPT = `
ip link set lo up
ip link add up0 type veth peer name up1
ip link set up0 up
ip link set up1 up
ip addr add 198.51.100.2/24 dev up0
ip route add default via 198.51.100.1
mount --bind "$1" /etc/resolv.conf
eval "$2"
shift 2
exec "$@"`;

export interface OwnHost {
  /** Starts a program there, by becoming it. */
  readonly wrapper: readonly string[];
  /** What the host has as /etc/resolv.conf. */
  readonly resolvConf: string;
  /** Runs a program as the host's root, in the namespaces of a process that was started there. */
  enter(pid: number, ...command: string[]): Promise<RunResult>;
  /** As enter(), for what has to succeed. */
  must(pid: number, ...command: string[]): Promise<void>;
}

/** @param script what makes the host, with the usual programs; its device is up0, of 198.51.100.2/24 */
export function ownHost(script = ''): OwnHost {
  const resolvConf = join(tempDir(), 'resolv.conf');
  writeFileSync(resolvConf, 'nameserver 127.0.0.1\n');
  const unshare = ['unshare', '--user', '--map-root-user', '--map-auto', '--mount', '--net'];
  const enter = (pid: number, ...command: string[]) =>
    run('nsenter', ['--user', '--net', '--mount', '--preserve-credentials', `--target=${pid}`, '--', ...command]);
  return {
    wrapper: [...unshare, 'sh', '-euc', SCRIPT, 'sh', resolvConf, script],
    resolvConf,
    enter,
    async must(pid, ...command) {
      const { code, stderr } = await enter(pid, ...command);
      assert.deepEqual([code, stderr], [0, ''], command.join(' '));
    },
  };
}
