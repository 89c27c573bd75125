/** The messages of the kernel's WireGuard, as <linux/wireguard.h> describes them, on generic netlink (<linux/genetlink.h>). */
import ipaddr from 'ipaddr.js';
import { attribute, attributes, elements, type Message } from '../../native/netlink.js';
import { type Key, keyBytes } from '../../protocol/wireguard/keys.js';
import { AF_INET, AF_INET6, ipBytes, NLA_F_NESTED } from '../netlink/messages.js';
import type { DeviceChange, Endpoint, PeerChange, PeerReport } from './implementation.js';
import { formatEndpoint } from './uapi.js';

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2 };
const WG_CMD = { GET_DEVICE: 0, SET_DEVICE: 1 };
const WGDEVICE_A = { IFNAME: 2, PRIVATE_KEY: 3, LISTEN_PORT: 6, PEERS: 8 };
const WGPEER_A = {
  PUBLIC_KEY: 1,
  PRESHARED_KEY: 2,
  FLAGS: 3,
  ENDPOINT: 4,
  PERSISTENT_KEEPALIVE_INTERVAL: 5,
  LAST_HANDSHAKE_TIME: 6,
  RX_BYTES: 7,
  TX_BYTES: 8,
  ALLOWEDIPS: 9,
};
const WGPEER_F = { REMOVE_ME: 1, REPLACE_ALLOWEDIPS: 2 };
const WGALLOWEDIP_A = { FAMILY: 1, IPADDR: 2, CIDR_MASK: 3 };
const VERSION = 1;
/** struct genlmsghdr. */
const HEADER = 4;

/** Asks for the number of a family, by its name. */
export function familyMessage(name: string): Message {
  return {
    type: GENL_ID_CTRL,
    payload: Buffer.concat([genericHeader(CTRL_CMD_GETFAMILY), attribute(CTRL_ATTR.FAMILY_NAME, name)]),
    what: `find ${name}`,
    accept: ['ENOENT'],
  };
}

/** The number in its answer. */
export function familyIn(payload: Buffer): number | undefined {
  return attributes(payload.subarray(HEADER)).get(CTRL_ATTR.FAMILY_ID)?.readUInt16LE(0);
}

/** One for the device itself, and one for each peer: an attribute cannot be longer than 64 KiB. Throws WireGuardError. */
export function setMessages(family: number, device: string, change: DeviceChange): Message[] {
  const { privateKey, listenPort, peers = [] } = change;
  const make = (attributesOf: readonly Buffer[], what: string): Message => ({
    type: family,
    payload: Buffer.concat([genericHeader(WG_CMD.SET_DEVICE), attribute(WGDEVICE_A.IFNAME, device), ...attributesOf]),
    what: `${what} of the device ${device}`,
  });
  const own = [
    ...(privateKey === undefined ? [] : [attribute(WGDEVICE_A.PRIVATE_KEY, keyBytes(privateKey))]),
    ...(listenPort === undefined ? [] : [attribute(WGDEVICE_A.LISTEN_PORT, u16(listenPort))]),
  ];
  return [
    ...(own.length > 0 ? [make(own, `set the key and the port`)] : []),
    ...peers.map((peer) => make([nested(WGDEVICE_A.PEERS, nested(0, peerAttributes(peer)))], 'set a peer')),
  ];
}

function peerAttributes({ publicKey, remove, presharedKey, endpoint, keepalive, allowedIps }: PeerChange): Buffer {
  const key = attribute(WGPEER_A.PUBLIC_KEY, keyBytes(publicKey));
  if (remove) return Buffer.concat([key, attribute(WGPEER_A.FLAGS, WGPEER_F.REMOVE_ME)]);
  return Buffer.concat([
    key,
    ...(allowedIps === undefined ? [] : [attribute(WGPEER_A.FLAGS, WGPEER_F.REPLACE_ALLOWEDIPS)]),
    ...(presharedKey === undefined ? [] : [attribute(WGPEER_A.PRESHARED_KEY, keyBytes(presharedKey))]),
    ...(endpoint === undefined ? [] : [attribute(WGPEER_A.ENDPOINT, socketAddress(endpoint))]),
    ...(keepalive === undefined ? [] : [attribute(WGPEER_A.PERSISTENT_KEEPALIVE_INTERVAL, u16(keepalive))]),
    ...(allowedIps === undefined
      ? []
      : [nested(WGPEER_A.ALLOWEDIPS, ...allowedIps.map((cidr) => nested(0, allowedIp(cidr))))]),
  ]);
}

function allowedIp(cidr: string): Buffer {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const bytes = Buffer.from(address.toByteArray());
  return Buffer.concat([
    attribute(WGALLOWEDIP_A.FAMILY, u16(bytes.length === 4 ? AF_INET : AF_INET6)),
    attribute(WGALLOWEDIP_A.IPADDR, bytes),
    attribute(WGALLOWEDIP_A.CIDR_MASK, Buffer.from([length])),
  ]);
}

/** Asks for all of a device; to be sent as a dump. */
export function getMessage(family: number, device: string): Message {
  return {
    type: family,
    payload: Buffer.concat([genericHeader(WG_CMD.GET_DEVICE), attribute(WGDEVICE_A.IFNAME, device)]),
    what: `read the peers of the device ${device}`,
  };
}

/** The peers in the answers. One that does not fit is continued in the next answer. */
export function peersIn(payloads: readonly Buffer[]): PeerReport[] {
  const peers = new Map<Key, PeerReport>();
  for (const payload of payloads) {
    const list = attributes(payload.subarray(HEADER)).get(WGDEVICE_A.PEERS);
    for (const element of elements(list)) {
      const peer = readPeer(attributes(element));
      const begun = peers.get(peer.publicKey);
      if (begun) begun.allowedIps.push(...peer.allowedIps);
      else peers.set(peer.publicKey, peer);
    }
  }
  return [...peers.values()];
}

function readPeer(found: ReadonlyMap<number, Buffer>): PeerReport {
  const time = found.get(WGPEER_A.LAST_HANDSHAKE_TIME);
  // struct __kernel_timespec
  const milliseconds =
    time && time.length >= 16 ? time.readBigInt64LE(0) * 1000n + time.readBigInt64LE(8) / 1000000n : 0n;
  return {
    publicKey: (found.get(WGPEER_A.PUBLIC_KEY) ?? Buffer.alloc(0)).toString('base64'),
    endpoint: endpointText(found.get(WGPEER_A.ENDPOINT)),
    allowedIps: elements(found.get(WGPEER_A.ALLOWEDIPS)).map((element) => subnetText(attributes(element))),
    lastHandshake: Number(milliseconds),
    bytesReceived: Number(found.get(WGPEER_A.RX_BYTES)?.readBigUInt64LE(0) ?? 0n),
    bytesSent: Number(found.get(WGPEER_A.TX_BYTES)?.readBigUInt64LE(0) ?? 0n),
  };
}

function subnetText(found: ReadonlyMap<number, Buffer>): string {
  const address = found.get(WGALLOWEDIP_A.IPADDR) ?? Buffer.alloc(4);
  return `${ipaddr.fromByteArray([...address])}/${found.get(WGALLOWEDIP_A.CIDR_MASK)?.[0] ?? 0}`;
}

/** struct sockaddr_in or sockaddr_in6; the family in the machine's byte order, the rest in the network's. */
function socketAddress({ ip, port }: Endpoint): Buffer {
  const bytes = ipBytes(ip);
  const isIPv4 = bytes.length === 4;
  const address = Buffer.alloc(isIPv4 ? 16 : 28);
  address.writeUInt16LE(isIPv4 ? AF_INET : AF_INET6, 0);
  address.writeUInt16BE(port, 2);
  bytes.copy(address, isIPv4 ? 4 : 8);
  return address;
}

function endpointText(address: Buffer | undefined): string {
  if (address === undefined || address.length < 16) return '';
  const isIPv4 = address.readUInt16LE(0) === AF_INET;
  const bytes = isIPv4 ? address.subarray(4, 8) : address.subarray(8, 24);
  return formatEndpoint({ ip: ipaddr.fromByteArray([...bytes]).toString(), port: address.readUInt16BE(2) });
}

function genericHeader(command: number): Buffer {
  return Buffer.from([command, VERSION, 0, 0]);
}

function nested(type: number, ...content: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(content));
}

function u16(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeUInt16LE(value);
  return out;
}
