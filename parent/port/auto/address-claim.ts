/**
 * An address of loopback for each stack and container, so that all of them can have port 80.
 *
 * Theory of operation. The address follows from the hash of a name, so it is the same at each start. It is claimed by an abstract
 * UNIX socket (unix(7)) with the address in its name: those belong to the network namespace of the host, as the address
 * does, so stacks of all users see each other's claims, and the kernel removes a claim with its process. An address that is
 * claimed already is passed over for the next one.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { formatSubnet, parseCIDR, type Subnet } from '../../../protocol/net/cidr.js';
import { formatIP } from '../../../protocol/net/ip.js';
import { errnoName } from '../../errors.js';
import { PortError } from '../errors.js';

/** Addresses that are tried. */
const MAX_ATTEMPTS = 256;
/** 127.0.0.0/24 has addresses that programs of the host use. */
const WELL_KNOWN = parseCIDR('127.0.0.0/24')?.subnet;

export interface AddressClaim extends Disposable {
  readonly ip: string;
}

/** @param name what the address is for, such as the name of a stack. Throws PortError. */
export async function claimAddress(addresses: Subnet, name: string): Promise<AddressClaim> {
  for (const ip of candidates(addresses, name)) {
    const claim = await bindClaim(ip);
    if (claim) return { ip, [Symbol.dispose]: () => claim.close() };
  }
  throw new PortError(`no address of ${formatSubnet(addresses)} is free for -p auto`, {
    hint: 'give a larger --auto-address, or an address: -p ADDRESS:auto',
  });
}

/** Undefined if it is claimed. Throws PortError. */
async function bindClaim(ip: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.unref().listen(`\0rootless-net/auto/${ip}`);
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if (errnoName(error) === 'EADDRINUSE') return undefined;
    throw new PortError(`cannot claim ${ip} for -p auto: ${errnoName(error)}`);
  }
}

/** From the one that the name leads to on. */
export function* candidates({ first, last, prefix }: Subnet, name: string): Generator<string> {
  const size = last - first + 1n;
  const start = createHash('sha256').update(name).digest().readBigUInt64BE();
  const most = size < MAX_ATTEMPTS ? Number(size) : MAX_ATTEMPTS;
  for (let offset = 0; offset < most; offset++) {
    const value = first + ((start + BigInt(offset)) % size);
    const lastByte = value & 0xffn;
    if (prefix <= 24 && (lastByte === 0n || lastByte === 0xffn)) continue;
    if (WELL_KNOWN && prefix < 24 && WELL_KNOWN.first <= value && value <= WELL_KNOWN.last) continue;
    yield formatIP({ family: 4, value });
  }
}
