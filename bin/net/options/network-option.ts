/**
 * `--network` of `run` and `create`, in docker's long form (`name=NET,alias=…`) and in podman's (`NET:ip=…,alias=…`).
 *
 * https://docs.docker.com/reference/cli/docker/container/run/#network, podman-run(1)
 */
import { isIPv6 } from 'node:net';
import { UsageError } from '../../../parent/errors.js';
import type { AttachmentRequest, ContainerNetwork } from '../../../protocol/containers/types.js';

/** Options for the first network. */
export interface FirstNetworkOptions {
  ip?: string | undefined;
  ip6?: string | undefined;
  macAddress?: string | undefined;
  networkAlias?: string[] | undefined;
}

/** Values that do not name networks. */
const MODE = /^(host|none|container:.*|ns:.*)$/s;
/** docker's driver option for the name of an interface. */
const IFNAME_OPTION = 'com.docker.network.endpoint.ifname';

const KEYS = ['alias', 'driver-opt', 'gw-priority', 'interface_name', 'ip', 'ip6', 'mac', 'mac-address'] as const;
type Key = (typeof KEYS)[number];

/** @param texts values of `--network`; empty for the default network. Throws UsageError. */
export function parseNetworks(texts: readonly string[], first: FirstNetworkOptions): ContainerNetwork {
  const { ip, ip6, macAddress, networkAlias } = first;
  const parsed = texts.map(parseNetworkOption);
  const mode = parsed.find(({ network }) => MODE.test(network))?.network;
  if (mode !== undefined) {
    if (parsed.length > 1) throw new UsageError(`--network=${mode} and other networks are mutually exclusive`);
    const own = Object.keys(parsed[0] ?? {}).find((key) => key !== 'network');
    if (own !== undefined)
      throw new UsageError(
        `invalid --network ${JSON.stringify(texts[0])}: ${mode} has no addresses, names or other options`,
      );
    const options = { '--ip': ip, '--ip6': ip6, '--mac-address': macAddress, '--network-alias': networkAlias };
    const given = Object.entries(options).find(([, value]) => value !== undefined)?.[0];
    if (given !== undefined) throw new UsageError(`${given} and --network=${mode} are mutually exclusive`);
    return modeOf(mode);
  }
  const own = { ip, ip6, mac: macAddress, aliases: networkAlias };
  if (Object.values(own).some((value) => value !== undefined)) {
    parsed[0] = withDefined(own, parsed[0] ?? { network: 'bridge' });
  }
  return { mode: 'networks', networks: parsed };
}

function modeOf(text: string): ContainerNetwork {
  if (text === 'host' || text === 'none') return { mode: text };
  if (text.startsWith('ns:')) return { mode: 'ns', path: text.slice('ns:'.length) };
  return { mode: 'container', container: text.slice('container:'.length) };
}

/** The request, with fields that it does not have taken from `own`. */
function withDefined(own: Partial<AttachmentRequest>, request: AttachmentRequest): AttachmentRequest {
  const defined = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(defined), ...request };
}

/** Throws UsageError. */
function parseNetworkOption(text: string): AttachmentRequest {
  if (MODE.test(text)) return { network: text };
  const fail = failing(text);
  const long = /^\w[\w-]*=/.test(text);
  const colon = text.indexOf(':');
  const fields = long ? text.split(',') : colon < 0 ? [] : text.slice(colon + 1).split(',');
  const pairs = fields.map((field): [string, string] => {
    const equals = field.indexOf('=');
    if (equals < 0) return fail(`expected KEY=VALUE, not ${JSON.stringify(field)}`);
    return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1).trim()];
  });
  const names = long ? pairs.filter(([key]) => key === 'name') : [];
  if (long && names.length !== 1)
    fail(names.length === 0 ? 'missing name of the network (name=…)' : 'name is given twice');
  const network = long ? (names[0]?.[1] ?? '') : text.slice(0, colon < 0 ? undefined : colon);
  if (network === '') fail('missing name of the network');
  // docker's name for the default network.
  const request: AttachmentRequest = { network: network === 'default' ? 'bridge' : network };
  for (const [key, value] of pairs) {
    if (long && key === 'name') continue;
    const known = KEYS.find((name) => name === key);
    if (!known) fail(`unknown key ${JSON.stringify(key)}; known are ${(long ? ['name', ...KEYS] : KEYS).join(', ')}`);
    else if (value === '') fail(`${key} has no value`);
    else apply(request, known, value, fail);
  }
  return request;
}

type Fail = (problem: string) => never;

function failing(text: string): Fail {
  return (problem) => {
    throw new UsageError(`invalid --network ${JSON.stringify(text)}: ${problem}`);
  };
}

function apply(request: AttachmentRequest, key: Key, value: string, fail: Fail): void {
  const once = <Name extends keyof AttachmentRequest>(name: Name, given: AttachmentRequest[Name]) => {
    if (request[name] !== undefined) fail(`${key} is given twice`);
    request[name] = given;
  };
  switch (key) {
    case 'alias':
      request.aliases = [...(request.aliases ?? []), value];
      break;
    case 'ip':
      // podman has one key for both address families.
      once(isIPv6(value) ? 'ip6' : 'ip', value);
      break;
    case 'ip6':
      once('ip6', value);
      break;
    case 'mac':
    case 'mac-address':
      once('mac', value);
      break;
    case 'interface_name':
      once('interface', value);
      break;
    case 'gw-priority':
      once('gatewayPriority', parsePriority(value, fail));
      break;
    default: {
      const [name, ...rest] = value.split('=');
      if (name !== IFNAME_OPTION) fail(`unknown driver-opt ${JSON.stringify(name)}; known is ${IFNAME_OPTION}=NAME`);
      once('interface', rest.join('='));
    }
  }
}

function parsePriority(text: string, fail: Fail): number {
  if (!/^-?\d{1,9}$/.test(text)) fail(`expected a number for gw-priority, not ${JSON.stringify(text)}`);
  return Number(text);
}

/** Options of `network connect`. Throws UsageError. */
export function parseConnection(network: string, options: ConnectOptions): Omit<AttachmentRequest, 'network'> {
  const { ip, ip6, macAddress, alias, driverOpt = [], gwPriority } = options;
  const request: AttachmentRequest = { network };
  const add = (option: string, key: Key, values: readonly string[]) => {
    for (const value of values) {
      apply(request, key, value, (problem) => {
        throw new UsageError(`invalid ${option} ${JSON.stringify(value)}: ${problem}`);
      });
    }
  };
  add('--driver-opt', 'driver-opt', driverOpt);
  add('--gw-priority', 'gw-priority', gwPriority === undefined ? [] : [gwPriority]);
  const { network: _, ...rest } = request;
  return { ip, ip6, mac: macAddress, aliases: alias, ...rest };
}

export interface ConnectOptions {
  ip?: string;
  ip6?: string;
  macAddress?: string;
  alias?: string[];
  driverOpt?: string[];
  gwPriority?: string;
}
