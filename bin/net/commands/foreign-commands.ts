/** Commands of docker, podman and nerdctl that are not supported: they are known, so that the error names an alternative. */
import type { EventEmitter } from 'node:events';
import type { Command } from 'commander';
import { UsageError } from '../../../parent/errors.js';

const IMAGES =
  'containers run from directories; to get one: podman export, skopeo and umoci, or debootstrap; then --rootfs DIR';
const ROOT = "a container's root file system is the directory of --rootfs: use cp, diff or tar";
const SWARM = 'networks across hosts are not supported; use published ports';
const PODS = 'run --network container:NAME shares the network namespace of a container';
const SYSTEMD = 'rootless-run systemd install runs the stack as a service; --restart restarts containers';

const entries = (hint: string, ...names: string[]): [string, string][] => names.map((name) => [name, hint]);

export const FOREIGN_COMMANDS: ReadonlyMap<string, string> = new Map([
  ...entries(
    IMAGES,
    'build',
    'builder',
    'buildx',
    'bake',
    'image',
    'images',
    'import',
    'load',
    'login',
    'logout',
    'manifest',
  ),
  ...entries(
    IMAGES,
    'pull',
    'push',
    'rmi',
    'save',
    'search',
    'tag',
    'untag',
    'history',
    'trust',
    'scout',
    'ipfs',
    'farm',
  ),
  ...entries(IMAGES, 'artifact', 'sbom', 'init', 'model'),
  ...entries(ROOT, 'commit', 'cp', 'diff', 'export', 'mount', 'unmount', 'umount'),
  ...entries('mount a directory with -v SOURCE:TARGET', 'volume'),
  ...entries(SWARM, 'swarm', 'node', 'service', 'stack'),
  ...entries('use -e, --env-file or -v', 'secret', 'config'),
  ...entries(PODS, 'pod', 'kube', 'play'),
  ...entries(SYSTEMD, 'generate', 'quadlet', 'machine', 'auto-update'),
  ...entries('run each service, with --network and --network-alias for its names', 'compose'),
  ...entries('rootless-net kill -s STOP stops its first process', 'pause'),
  ...entries('rootless-net kill -s CONT continues its first process', 'unpause'),
  ...entries('remove it and run it again with other options; it can keep its name and addresses', 'update'),
  ...entries('use rootless-net container prune and network prune', 'system'),
  ...entries('--stack and --state-dir select a stack; rootless-run ls lists them', 'context', 'namespace'),
  ...entries('only CNI plugins are supported, see rootless-net network', 'plugin'),
  ...entries('checkpoints are not supported; use the OCI runtime: runc checkpoint', 'checkpoint'),
  ...entries('health checks are not supported; run the check with rootless-net exec', 'healthcheck'),
  ...entries('use rootless-run', 'unshare'),
  ...entries('containers are confined by seccomp, see --security-opt', 'apparmor'),
]);

/** Makes a program reject these commands with their hint; other unknown commands are not affected. */
export function refuseForeignCommands(program: Command): void {
  // Commander's types declare neither the emitter nor this method.
  const internal = program as unknown as EventEmitter & { unknownCommand(): never };
  internal.on('command:*', ([name = '']: string[]) => {
    const hint = FOREIGN_COMMANDS.get(name);
    if (hint === undefined) internal.unknownCommand();
    throw new UsageError(`the command ${name} is not supported`, { hint });
  });
}
