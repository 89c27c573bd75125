/**
 * A WireGuard device in the network namespace that it is started in, for requests on a UNIX socket: node wireguard-run.js
 * SOCKET. Each connection has a request in JSON, up to its end, and gets an answer in JSON. Ends with the device at SIGTERM.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type FirewallBridge, NftFirewall } from '../../child/container/network/bridge/firewall.js';
import { type Peer, type PeerReport, WireGuardDevice, type WireGuardOptions } from '../../child/wireguard/device.js';
import { errorText } from '../../protocol/errors/error-text.js';

export type WireGuardRequest =
  | { open: Omit<WireGuardOptions, 'warn'> }
  | { configure: readonly Peer[] }
  | { setPrivateKey: string }
  /** Needs no device. */
  | { filter: FirewallBridge }
  | { close: true }
  | { peers: true };

export interface WireGuardAnswer {
  error?: string;
  kind?: string | undefined;
  peers?: PeerReport[];
  /** All so far. */
  warnings: string[];
}

const warnings: string[] = [];
let device: WireGuardDevice | undefined;

async function handle(request: WireGuardRequest): Promise<WireGuardAnswer> {
  if ('open' in request) {
    device = await WireGuardDevice.open({ ...request.open, warn: (line) => warnings.push(line) });
  }
  if ('filter' in request) await new NftFirewall().ensure(request.filter);
  if ('configure' in request) await device?.configure(request.configure);
  if ('setPrivateKey' in request) await device?.setPrivateKey(request.setPrivateKey);
  if ('close' in request) await device?.close();
  return { kind: device?.kind, peers: 'peers' in request ? ((await device?.peers()) ?? []) : [], warnings };
}

const server = createServer({ allowHalfOpen: true }, async (socket) => {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'end');
  const answer = await handle(JSON.parse(text) as WireGuardRequest).catch((error: unknown) => ({
    error: errorText(error),
    warnings,
  }));
  socket.end(JSON.stringify(answer));
});
server.listen(process.argv[2], () => process.stdout.write('ready\n'));
await once(process, 'SIGTERM');
await device?.close();
process.exit();
