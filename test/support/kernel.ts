// What the kernel has that not all have.
import { spawnSync } from 'node:child_process';

/** Whether it can make a device of that kind on top of another one. */
export function hasDeviceKind(kind: string): boolean {
  const script = `ip link add name over0 type veth peer name under0 && ip link add link over0 name top0 type ${kind}`;
  return spawnSync('unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', script]).status === 0;
}
