/**
 * Published ports by socket activation: systemd opens their sockets and passes them (sd_listen_fds(3)), named `publish`, or
 * `publish-PORT` where the port in the namespace differs (systemd.socket(5), FileDescriptorName=).
 */
import { native } from '../../native/index.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { errorText } from '../errors.js';
import { passedDescriptors, removeActivationVariables } from './listen-fds.js';

export interface ActivatedPort {
  /** Owned by the receiver of the object. */
  fd: number;
  mapping: PortMapping;
}

/** Takes over the sockets, and removes the variables from the environment; unusable ones are closed and logged. */
export function takeActivatedPorts(
  warn: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): ActivatedPort[] {
  const passed = passedDescriptors(env);
  removeActivationVariables(env);
  const ports: ActivatedPort[] = [];
  for (const { fd, name } of passed) {
    const match = /^publish(?:-(\d{1,5}))?$/.exec(name);
    try {
      if (!match) throw new Error('invalid name: expected "publish" or "publish-PORT"');
      const socket = native().takeSocket(fd);
      const childPort = Number(match[1] ?? socket.port);
      if (childPort < 1 || childPort > 65535) throw new Error(`invalid port ${childPort}: expected 1 to 65535`);
      ports.push({ fd, mapping: mappingOf(socket, childPort) });
    } catch (error) {
      warn(`cannot publish the systemd socket ${name} (FileDescriptorName=): ${errorText(error)}`);
      native().closeFd(fd);
    }
  }
  return ports;
}

function mappingOf(socket: ReturnType<ReturnType<typeof native>['takeSocket']>, childPort: number): PortMapping {
  const unspecified = socket.ip === '::' || socket.ip === '0.0.0.0';
  const oneFamily = unspecified && !socket.dual;
  return {
    transport: socket.type,
    ...(oneFamily && { family: socket.ip === '::' ? (6 as const) : (4 as const) }),
    host: { ip: unspecified ? '' : socket.ip, port: socket.port },
    target: { ip: '', port: childPort },
    count: 1,
  };
}
