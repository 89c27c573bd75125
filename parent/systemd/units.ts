/**
 * The units of the stack as a service (systemd.service(5), systemd.socket(5)).
 */
import { type PortMapping, protocolName } from '../../protocol/ports/port-mapping.js';
import { bracket, plainAddress } from '../../protocol/ports/port-text.js';
import { printable, UsageError } from '../errors.js';

export const SERVICE = 'rootless-net.service';

/**
 * Exit code of `serve` where another process already runs the stack. The units do not restart it then: it would fail again
 * as long as that one runs.
 */
export const RUNS_ALREADY = 75;

export interface ServiceOptions {
  /** The program and its arguments. */
  command: readonly string[];
  /** The Node.js that runs it: the manager's PATH may have none, or another one. */
  node: string;
  /** Names of the socket units whose sockets are passed to it. */
  sockets: readonly string[];
  /** For the system's manager: the user that it runs as. The user's own manager needs none. */
  user?: { name: string; uid: number };
}

/**
 * Only hardening that allows namespaces. Everything that uses seccomp, or mount namespaces of the manager, implies
 * NoNewPrivileges= in a user's manager (systemd.exec(5)), and then newuidmap cannot map sub-ids.
 * Throws UsageError if a word of the command cannot be in a unit.
 */
export function serviceUnit({ command, node, sockets, user }: ServiceOptions): string {
  const lines = [
    '[Unit]',
    'Description=Rootless network stack',
    'Documentation=man:rootless-run(1)',
    ...(user ? [`Requires=user@${user.uid}.service`, `After=user@${user.uid}.service network.target`] : []),
    '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=main',
    ...(user ? [`User=${escapeSpecifiers(user.name)}`, `Environment=XDG_RUNTIME_DIR=/run/user/${user.uid}`] : []),
    `Environment=${quote(escapeSpecifiers(`ROOTLESS_NET_NODE=${node}`))}`,
    `ExecStart=${commandLine(command)}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    ...(sockets.length > 0 ? [`Sockets=${sockets.join(' ')}`] : []),
    'Restart=on-failure',
    'RestartSec=1',
    `RestartPreventExitStatus=${RUNS_ALREADY}`,
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
export function socketName(mapping: PortMapping): string {
  const { ip, port } = mapping.host;
  const address = ip === '' ? '' : `${ip.replaceAll(':', '.').replace(/^\.+|\.+$/g, '')}-`;
  return `rootless-net-${address}${port}-${protocolName(mapping)}.socket`;
}

export function socketUnit({ family, host, target, transport }: PortMapping, service: string): string {
  const listen = transport === 'udp' ? 'ListenDatagram' : 'ListenStream';
  const any = family === 4 ? '0.0.0.0:' : family === 6 ? '[::]:' : '';
  const address = host.ip === '' ? any : `${bracket(plainAddress(host.ip))}:`;
  const lines = [
    '[Unit]',
    `Description=Published port ${host.port} of the rootless network stack`,
    'Documentation=man:rootless-run(1)',
    '',
    '[Socket]',
    `${listen}=${address}${host.port}`,
    `BindIPv6Only=${family === 6 ? 'ipv6-only' : 'both'}`,
    `FileDescriptorName=publish-${target.port}`,
    `Service=${service}`,
    '',
    '[Install]',
    'WantedBy=sockets.target',
    '',
  ];
  return lines.join('\n');
}

/**
 * As systemd reads commands (systemd.service(5), "COMMAND LINES"): `%` begins a specifier everywhere, and `$` a variable in
 * all words but the first. Throws UsageError.
 */
function commandLine([program = '', ...args]: readonly string[]): string {
  return [
    quote(escapeSpecifiers(program)),
    ...args.map((word) => quote(escapeSpecifiers(word).replaceAll('$', '$$$$'))),
  ].join(' ');
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Throws UsageError: a line break would begin another setting of the unit. */
function quote(word: string): string {
  if (/\p{Cc}/u.test(word)) {
    throw new UsageError(`invalid option "${printable(word)}": a unit cannot hold control characters`);
  }
  return /^[\w@%+=:,./$-]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}
