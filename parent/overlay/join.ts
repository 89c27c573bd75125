/** Making and joining networks: from a request, or from the files of an earlier start, to an open network. */
import { randomInt, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { canonical, familyOf } from '../../protocol/net/ip.js';
import type { OverlayRequest } from '../../protocol/overlay/reports.js';
import { freeShare, SHARE_PREFIX, shareCount, shareRules } from '../../protocol/overlay/subnets.js';
import { type EtcdToken, formatToken, type OverlayToken, type StaticToken } from '../../protocol/overlay/token.js';
import { generatePresharedKey } from '../../protocol/wireguard/keys.js';
import { ExpectedError } from '../errors.js';
import { hostGatewayIP } from '../network/host/gateway.js';
import { mtuAt } from '../network/host/routes.js';
import { OverlayError } from './errors.js';
import { EtcdClient } from './etcd/client.js';
import { readGivenFile } from './etcd/given-file.js';
import { OverlayNetwork, type OverlayNetworkDeps } from './network.js';
import type { OverlayPort, OverlayPorts } from './ports.js';
import { clearRegistry } from './registry/clear.js';
import { formatConfig, keys, type NetworkConfig, parseConfig } from './registry/layout.js';
import { RegistryMembership } from './registry/membership.js';
import { mergeMembers, StaticMembership } from './static-membership.js';
import type { OverlayConfig, OverlayStore } from './store.js';

/** WireGuard's usual port, and how many are tried from there on where several stacks share a host. */
const FIRST_PORT = 51_820;
const PORTS = 80;
const USUAL_NETWORK = '10.50.0.0/16';
const USUAL_PREFIX = '/rootless-net';

export interface OpenDeps {
  store: OverlayStore;
  ports: OverlayPorts;
  push: () => Promise<void>;
  warn: (line: string) => void;
}

/** Writes the files of a new network, or of one that is joined. Throws OverlayError, OverlayTokenError, EtcdError …; nothing is written then. */
export async function prepareOverlay(
  request: OverlayRequest,
  store: OverlayStore,
  parsed?: OverlayToken,
): Promise<OverlayConfig> {
  const identity = {
    host: randomUUID(),
    hostName: request.hostName ?? safeName(hostname()),
    port: request.port ?? 0,
    ...(request.address === undefined ? {} : { address: canonical(request.address) }),
  };
  if (request.static || parsed?.kind === 'static') {
    return prepareStatic(request, { store, identity, token: parsed?.kind === 'static' ? parsed : undefined });
  }
  return prepareEtcd(request, { store, identity, token: parsed?.kind === 'etcd' ? parsed : undefined });
}

interface Preparation<Token> {
  store: OverlayStore;
  identity: Pick<OverlayConfig, 'host' | 'hostName' | 'port' | 'address'>;
  token: Token | undefined;
}

function prepareStatic(request: OverlayRequest, { store, identity, token }: Preparation<StaticToken>): OverlayConfig {
  const networks = token?.networks ?? networksOf(request);
  const rules = shareRules(networks);
  if (!rules) throw badNetworks(networks);
  if (token) mergeMembers([], token.members, networks);
  const used = token?.members.flatMap(({ subnets }) => subnets) ?? [];
  // Hosts that join with the same token are not to take the same one.
  const subnets = freeShare(rules, used, token ? randomInt(shareCount(rules)) : 1);
  if (!subnets) throw new OverlayError(`all subnets of ${networks.join(', ')} are taken`);
  const config: OverlayConfig = {
    name: token?.name ?? request.name ?? '',
    mode: 'static',
    ...identity,
    networks,
    internal: token?.internal ?? request.internal ?? false,
    presharedKey: token?.presharedKey ?? generatePresharedKey(),
  };
  store.writeConfig(config);
  store.writeLease({ subnets });
  if (token) store.writePeers({ members: token.members, names: [] });
  return config;
}

async function prepareEtcd(
  request: OverlayRequest,
  { store, identity, token }: Preparation<EtcdToken>,
): Promise<OverlayConfig> {
  const name = token?.name ?? request.name ?? '';
  const { endpoints, prefix, ca, cert, key, user, passwordFile } = request.etcd ?? {};
  const given = endpoints?.length ? endpoints : token?.endpoints;
  if (!given) {
    throw new OverlayError(
      'an overlay network needs etcd, or --static for hosts that know each other by tokens',
      {
        hint: '--etcd https://HOST:2379',
      },
      400,
    );
  }
  const etcd = {
    endpoints: given.map((url) => url.replace(/\/+$/, '')),
    prefix: prefix ?? token?.prefix ?? `${USUAL_PREFIX}/${name}`,
    ...(token?.ca === undefined ? {} : { ca: token.ca }),
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(cert === undefined ? {} : { certFile: cert }),
    ...(key === undefined ? {} : { keyFile: key }),
    ...(user === undefined ? {} : { user }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
  };
  const client = new EtcdClient(etcd);
  try {
    const registered = token ? await readConfig(client, etcd.prefix) : await makeConfig(client, etcd.prefix, request);
    if (!registered) {
      throw new OverlayError(
        `etcd has no overlay network at ${etcd.prefix}`,
        {
          hint: 'if it was removed, create it with rootless-net overlay create',
        },
        404,
      );
    }
    // Never in etcd, unless flanneld has put it there: who can read etcd is not a member yet.
    const presharedKey =
      registered.presharedKey ?? token?.presharedKey ?? (registered.own && !token ? generatePresharedKey() : undefined);
    const config: OverlayConfig = {
      ...{ name, mode: 'etcd', ...identity, networks: registered.networks, internal: registered.internal, etcd },
      ...(registered.own ? {} : { port: registered.listenPort }),
      ...(presharedKey === undefined ? {} : { presharedKey }),
      registry: {
        prefix: registered.prefix,
        own: registered.own,
        ...(registered.first === undefined ? {} : { first: registered.first }),
        ...(registered.last === undefined ? {} : { last: registered.last }),
      },
    };
    try {
      store.writeConfig(config);
    } catch (error) {
      if (!token && registered.own) await clearRegistry(etcd).catch(() => {});
      throw error;
    }
    return config;
  } finally {
    client.close();
  }
}

/** Throws OverlayError for a key that is something else. */
async function readConfig(client: EtcdClient, prefix: string): Promise<NetworkConfig | undefined> {
  const entry = await client.get(keys(prefix).config);
  if (!entry) return undefined;
  const config = parseConfig(entry.value);
  if (config) return config;
  throw new OverlayError(
    `${keys(prefix).config} in etcd is not the configuration of a network with flannel's backend wireguard`,
  );
}

/** That of flannel's network where there is one; a new one otherwise. Throws OverlayError for one of ours. */
async function makeConfig(
  client: EtcdClient,
  prefix: string,
  request: OverlayRequest,
): Promise<NetworkConfig | undefined> {
  const existing = await readConfig(client, prefix);
  if (existing?.own) {
    throw new OverlayError(`etcd has the overlay network ${prefix} already`, {
      hint: 'rootless-net overlay join, with a token that rootless-net overlay token prints on a member',
    });
  }
  if (existing) return existing;
  const networks = networksOf(request);
  if (!shareRules(networks)) throw badNetworks(networks);
  const key = keys(prefix).config;
  const value = formatConfig(request.name ?? '', networks, request.internal ?? false);
  await client.transaction([{ key, version: '0' }], [{ put: key, value }]);
  return readConfig(client, prefix);
}

function networksOf({ networks = [] }: OverlayRequest): string[] {
  const v4 = networks.find((text) => familyOf(text) === 4);
  return [v4 ?? USUAL_NETWORK, ...networks.filter((text) => text !== v4)];
}

function badNetworks(networks: readonly string[]): OverlayError {
  return new OverlayError(
    `invalid --subnet ${networks.join(', ')}`,
    {
      hint: 'one IPv4 network larger than a /24, such as 10.50.0.0/16, and optionally one IPv6 network larger than a /64',
    },
    400,
  );
}

/** Opens a network whose files are there. @param wait whether etcd has to answer; throws then what it throws. */
export async function openOverlay({ store, ports, push, warn }: OpenDeps, wait: boolean): Promise<OverlayNetwork> {
  let config = store.config();
  const opened = await openPort(ports, config.port);
  if (opened.number !== config.port) {
    config = { ...config, port: opened.number };
    store.writeConfig(config);
  }
  const client = config.etcd && new EtcdClient(config.etcd);
  const address = () => {
    const towards = client?.localAddress ?? '';
    if (towards === '') return store.lease()?.address ?? hostGatewayIP();
    return /^(127\.|::1$|::ffff:127\.)/.test(towards) ? hostGatewayIP() : canonical(towards);
  };
  const deps: OverlayNetworkDeps = {
    config,
    store,
    port: opened.port,
    address,
    mtuAt,
    push,
    warn: (line) => warn(`the network ${config.name}: ${line}`),
  };
  let network: OverlayNetwork | undefined;
  try {
    const made = new OverlayNetwork(deps);
    network = made;
    const changed = () => made.changed();
    if (client && config.etcd) {
      const membership = new RegistryMembership({
        ...{ client, prefix: config.etcd.prefix, store, host: config.host, changed, warn: deps.warn },
        config: registeredBy(config),
      });
      made.use(membership);
      // An address towards etcd is known after the first answer.
      if (wait) await client.get(keys(config.etcd.prefix).config);
      if (wait) await made.announce();
      else made.announceLater(membership);
    } else {
      made.use(
        new StaticMembership(store, { networks: config.networks, subnets: store.lease()?.subnets ?? [], changed }),
      );
    }
    return made;
  } catch (error) {
    // What was registered by then is of no use to anybody.
    await network?.close(wait).catch(() => network?.close(false).catch(() => {}));
    await opened.port.close().catch(() => {});
    client?.close();
    throw error;
  }
}

/** The registry's configuration as it was at the join: it does not change. */
function registeredBy({ networks, internal, port, registry }: OverlayConfig): NetworkConfig {
  return { ...{ networks, internal, prefix: SHARE_PREFIX, own: true, listenPort: port }, ...registry };
}

/** @param wanted 0 for the first free one. Throws PortError and OverlayError. */
async function openPort(ports: OverlayPorts, wanted: number): Promise<{ port: OverlayPort; number: number }> {
  if (wanted !== 0) return { port: await ports.open(wanted), number: wanted };
  for (let number = FIRST_PORT; ; number++) {
    try {
      return { port: await ports.open(number), number };
    } catch (error) {
      if (number >= FIRST_PORT + PORTS - 1 || !isInUse(error)) throw error;
    }
  }
}

/** By another program, or another port of this stack. */
function isInUse(error: unknown): boolean {
  return error instanceof ExpectedError && ['port-conflict', 'port-unavailable'].includes(error.code);
}

/** The token that other hosts join with. Throws OverlayError where this host is not a member yet. */
export function tokenOf(network: OverlayNetwork): string {
  const { name, mode, networks, internal, presharedKey, etcd } = network.config;
  const self = network.self();
  if (mode === 'static' && self) {
    const members = [self, ...network.membership.peers];
    return formatToken({ kind: 'static', name, networks, internal, presharedKey: presharedKey ?? '', members });
  }
  if (!etcd) throw new OverlayError(`the network ${name} has no token`);
  return formatToken({
    ...{ kind: 'etcd', name, endpoints: etcd.endpoints, prefix: etcd.prefix },
    ...caOf(etcd),
    ...(presharedKey === undefined ? {} : { presharedKey }),
  });
}

/** The certificate authority is public: the others need not be given its file. */
function caOf({ ca, caFile }: { ca?: string | undefined; caFile?: string | undefined }): { ca?: string } {
  const text = caFile === undefined ? ca : readGivenFile(caFile);
  return text === undefined ? {} : { ca: text };
}

/** A name for people, of what the machine is called. */
function safeName(text: string): string {
  return text.replaceAll(/[^\w.-]/g, '-').slice(0, 64) || 'host';
}
