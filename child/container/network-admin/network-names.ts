/** What the DNS server of a network does, and what it answers (`rootless-net dns`). */
import type { NameQueryReport, NetworkNamesReport } from '../../../protocol/containers/types.js';
import type { Origin } from '../../../protocol/dns/origins.js';
import { recordTypeOf } from '../../../protocol/dns/record-types.js';
import { decodeAnswer, encodeQuery, reverseName } from '../../dns/message.js';
import { ContainerError, NoSuchContainerError } from '../errors.js';
import type { Network } from '../network/network.js';
import type { NetworkAdminDeps } from './deps.js';

export interface NameQuestion {
  name: string;
  /** `A`, `AAAA` … */
  type: string;
  /** Name or id of the container that is to ask; "" for another program on the network. */
  container: string;
}

type Deps = Pick<NetworkAdminDeps, 'names' | 'peers'>;

export function networkNames({ names }: Deps, network: Network): NetworkNamesReport {
  const report = names.report(network.name);
  if (report) return { network: network.name, ...report, servers: [...report.servers] };
  const problem = network.bridge
    ? 'no container has been on it yet'
    : `networks of the driver ${network.driver} have none`;
  return { network: network.name, servers: [], problem, answers: {} };
}

/** Throws ContainerError. */
export async function askNetwork(deps: Deps, network: Network, question: NameQuestion): Promise<NameQueryReport> {
  const { name, type, container } = question;
  const number = recordTypeOf(type);
  if (number === undefined)
    throw new ContainerError(`unknown type of DNS records: ${JSON.stringify(type)}; hint: A, AAAA, PTR, TXT, SRV …`);
  const query = encodeQuery(number === recordTypeOf('PTR') ? reverseName(name) : name, number);
  if (!query) throw new ContainerError(`${JSON.stringify(name)} is not a domain name: labels have 1 to 63 characters`);
  const client = clientOf(deps, network, container);
  const answer = await deps.names.ask(network.name, query, client);
  if (!answer)
    throw new ContainerError(
      `the network ${network.name} has no DNS server: ${networkNames(deps, network).problem}`,
      409,
    );
  const holders = deps.names.holdersOf(network.name, name);
  const { status, records } = decodeAnswer(answer.message) ?? { status: 'NONE', records: [] };
  return { name, type: type.toUpperCase(), status, records, from: answer.from, reason: reasonOf(answer.from, holders) };
}

/** The address that the container asks from. Throws ContainerError. */
function clientOf({ names, peers }: Deps, network: Network, container: string): string {
  const server = names.report(network.name)?.servers[0] ?? '127.0.0.1';
  if (container === '') return server;
  const found = peers.attached().find(({ id, name }) => name === container || id.startsWith(container));
  if (!found) throw new NoSuchContainerError(container);
  const own = found.networks.find(({ name }) => name === network.name)?.ips[0];
  if (own === undefined)
    throw new ContainerError(`the container ${found.name} is not on the network ${network.name}`, 409);
  return own;
}

function reasonOf(from: Origin, holders: readonly string[]): string {
  const held = holders.length === 0 ? '' : `: ${holders.join(', ')}`;
  const reasons: Record<Origin, string> = {
    own: `the network's own names${held}`,
    missing: `one of the network's own names, which nothing has now${held}`,
    internal: 'none of its own names, and internal networks have no others',
    host: "the host's resolvers, and the egress policy if there is one",
    servers: 'the DNS servers of the container (--dns)',
    malformed: 'the query is malformed, or of a kind that is not served',
    refused: 'the client is not on this network',
    limited: 'the client has asked too many questions',
    lost: 'no server has answered in time',
  };
  return reasons[from];
}
