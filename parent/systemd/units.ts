/**
 * The units of the stack as a service (systemd.service(5), systemd.socket(5)).
 */
import type { PortSpec } from '../../protocol/ports.js';

export const SERVICE = 'rootless-net.service';

export interface ServiceOptions {
  /** The program and its arguments. */
  command: readonly string[];
  /** Names of socket units whose sockets it gets. */
  sockets: readonly string[];
  /** For the system's manager: whose service it is. The user's own manager runs everything as the user. */
  user?: { name: string; uid: number };
}

/**
 * Hardening is what leaves namespaces possible. Everything that works by seccomp, or by mount namespaces of the
 * manager's, implies NoNewPrivileges= in a user's manager (systemd.exec(5)), and then newuidmap cannot map sub-ids.
 */
export function serviceUnit({ command, sockets, user }: ServiceOptions): string {
  const lines = [
    '[Unit]',
    'Description=Rootless network stack',
    'Documentation=man:rootless-run(1)',
    ...(user ? [`Requires=user@${user.uid}.service`, `After=user@${user.uid}.service network.target`] : []),
    '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=all',
    ...(user ? [`User=${user.name}`, `Environment=XDG_RUNTIME_DIR=/run/user/${user.uid}`] : []),
    `ExecStart=${command.map(quote).join(' ')}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    ...(sockets.length > 0 ? [`Sockets=${sockets.join(' ')}`] : []),
    'Restart=on-failure',
    'RestartSec=1',
    'WatchdogSec=30',
    'TimeoutStopSec=30',
    'KillMode=mixed',
    'Delegate=yes',
    'LimitNOFILE=524288',
    'LimitCORE=0',
    'UMask=0077',
    '',
    '[Install]',
    `WantedBy=${user ? 'multi-user.target' : 'default.target'}`,
    '',
  ];
  return lines.join('\n');
}

/** Name of the unit whose socket becomes that published port. */
export function socketName({ proto, parentIP, parentPort }: PortSpec): string {
  const address = parentIP === undefined ? '' : `${parentIP.replaceAll(':', '.').replace(/^\.+|\.+$/g, '')}-`;
  return `rootless-net-${address}${parentPort}-${proto}.socket`;
}

export function socketUnit(spec: PortSpec, service: string): string {
  const { proto, parentIP, parentPort, childPort } = spec;
  const listen = proto.startsWith('udp') ? 'ListenDatagram' : 'ListenStream';
  const family = proto.slice(3);
  const any = family === '4' ? '0.0.0.0:' : family === '6' ? '[::]:' : '';
  const address = parentIP === undefined ? any : parentIP.includes(':') ? `[${parentIP}]:` : `${parentIP}:`;
  const lines = [
    '[Unit]',
    `Description=Published port ${parentPort} of the rootless network stack`,
    'Documentation=man:rootless-run(1)',
    '',
    '[Socket]',
    `${listen}=${address}${parentPort}`,
    `BindIPv6Only=${family === '6' ? 'ipv6-only' : 'both'}`,
    `FileDescriptorName=publish-${childPort}`,
    `Service=${service}`,
    '',
    '[Install]',
    'WantedBy=sockets.target',
    '',
  ];
  return lines.join('\n');
}

/** As systemd reads words (systemd.service(5), "COMMAND LINES"). */
function quote(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\]/g, '\\$&')}"`;
}
