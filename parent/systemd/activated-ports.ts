/**
 * Published ports whose sockets systemd has opened: those that it passes (sd_listen_fds(3)) under the name `publish`, or
 * `publish-PORT` where the port inside is another one (systemd.socket(5), FileDescriptorName=).
 */
import { native } from '../../native/index.js';
import type { PortSpec } from '../../protocol/ports.js';
import { errorText } from '../errors.js';
import { FIRST_FD } from '../namespaces/inherited.js';

export interface ActivatedPort {
  /** Belongs to whoever takes it. */
  fd: number;
  spec: PortSpec;
}

/** Takes the sockets, and the variables out of the environment; others are closed with a line that says so. */
export function takeActivatedPorts(
  warn: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): ActivatedPort[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '0', LISTEN_FDNAMES: names = '' } = env;
  delete env.LISTEN_PID;
  delete env.LISTEN_FDS;
  delete env.LISTEN_FDNAMES;
  if (pid !== String(process.pid)) return [];
  const ports: ActivatedPort[] = [];
  const named = names.split(':');
  for (let index = 0; index < Number(count); index++) {
    const fd = FIRST_FD + index;
    const name = named[index] ?? '';
    const match = /^publish(?:-(\d{1,5}))?$/.exec(name);
    try {
      if (!match) throw new Error('its name is neither "publish" nor "publish-PORT"');
      const socket = native().takeSocket(fd);
      const childPort = Number(match[1] ?? socket.port);
      if (childPort < 1 || childPort > 65535) throw new Error(`there is no port ${childPort}`);
      ports.push({ fd, spec: specOf(socket, childPort) });
    } catch (error) {
      warn(`the socket ${name} (FileDescriptorName=) of systemd is not published: ${errorText(error)}`);
      native().closeFd(fd);
    }
  }
  return ports;
}

function specOf(socket: ReturnType<ReturnType<typeof native>['takeSocket']>, childPort: number): PortSpec {
  const unspecified = socket.ip === '::' || socket.ip === '0.0.0.0';
  const family = !unspecified || socket.dual ? '' : socket.ip === '::' ? '6' : '4';
  return {
    proto: `${socket.type}${family}`,
    ...(unspecified ? {} : { parentIP: socket.ip }),
    parentPort: socket.port,
    childPort,
  };
}
