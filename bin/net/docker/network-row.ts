/** A network in the formats of `docker network ls` and `docker network inspect`, and the filters of the former. */
import { shortId } from '../../../protocol/containers/short-id.js';
import type { ContainerReport, NetworkReport } from '../../../protocol/containers/types.js';
import { Dictionary, type Struct, type Value, withHidden } from '../template/index.js';
import { networkId } from './container-view.js';
import { type FilterKinds, labelTest, oneOf, patternOf } from './filters.js';

/** Networks that always exist; `bridge` is created at its first use. */
const PREDEFINED = ['bridge', 'host', 'none'];

export function isPredefined(name: string): boolean {
  return PREDEFINED.includes(name);
}

const MTU_OPTION = 'com.docker.network.driver.mtu';
const ICC_OPTION = 'com.docker.network.bridge.enable_icc';

/** Reports for `--network=host` and `--network=none`, which are not networks of the stack. */
export const PSEUDO_NETWORKS: readonly NetworkReport[] = [
  ['host', 'host'],
  ['none', 'null'],
].map(([name = '', driver = '']) => ({
  name,
  id: networkId(name),
  driver,
  own: true,
  file: '',
  subnets: [],
  internal: false,
  labels: {},
  containers: {},
  conflist: {},
}));

/** The pseudo network with that name, ID or prefix of an ID. */
export function pseudoNetwork(text: string): NetworkReport | undefined {
  return PSEUDO_NETWORKS.find(({ name, id }) => name === text || (text.length >= 3 && id.startsWith(text)));
}

/** The fields of a row, for `--format`. */
export function networkRow(report: NetworkReport, { noTrunc }: { noTrunc: boolean }): Struct {
  const { id, name, driver, subnets, internal, labels = {}, own, file, created } = report;
  return {
    CreatedAt: created ?? '',
    Driver: driver,
    ID: noTrunc ? id : shortId(id),
    IPv4: String(subnets.length === 0 || subnets.some(({ subnet }) => !subnet.includes(':'))),
    IPv6: String(subnets.some(({ subnet }) => subnet.includes(':'))),
    Internal: String(internal),
    Label: (key: Value) => (typeof key === 'string' ? (labels[key] ?? '') : ''),
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Name: name,
    Scope: 'local',
    // Not fields of docker.
    Subnets: subnets.map(({ subnet }) => subnet).join(','),
    File: own ? '' : file,
  };
}

export const NETWORK_HEADINGS: Struct = {
  CreatedAt: 'CREATED AT',
  Driver: 'DRIVER',
  ID: 'NETWORK ID',
  IPv4: 'IPV4',
  IPv6: 'IPV6',
  Internal: 'INTERNAL',
  Label: (key: Value) => String(key).replace(/^.*\./s, '').toUpperCase(),
  Labels: 'LABELS',
  Name: 'NAME',
  Scope: 'SCOPE',
  Subnets: 'SUBNETS',
  File: 'EXTERNAL FILE',
};

export const NETWORK_COLUMNS = ['ID', 'Name', 'Driver', 'Scope', 'Subnets', 'File'];

/** In the format of `docker network inspect`. */
export function networkView(report: NetworkReport): Struct {
  const { name, id, driver, internal, labels = {}, subnets, containers = {}, created, conflist } = report;
  const view = {
    Name: name,
    Id: id,
    Created: created ?? '',
    Scope: 'local',
    Driver: driver,
    EnableIPv4: subnets.some(({ subnet }) => !subnet.includes(':')),
    EnableIPv6: subnets.some(({ subnet }) => subnet.includes(':')),
    IPAM: {
      Driver: 'default',
      Options: new Dictionary({}, ''),
      Config: subnets.map(({ subnet, gateway }) => ({ Subnet: subnet, Gateway: gateway ?? '' })),
    },
    Internal: internal,
    // Not a field of docker.
    ...(report.egress && { Egress: report.egress }),
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: new Dictionary(
      Object.fromEntries(
        Object.entries(containers).map(([container, { name: own, mac, ips }]) => [
          container,
          {
            Name: own,
            EndpointID: networkId(`${container} ${name}`),
            MacAddress: mac,
            IPv4Address: ips.find((ip) => !ip.includes(':')) ?? '',
            IPv6Address: ips.find((ip) => ip.includes(':')) ?? '',
          },
        ]),
      ),
    ),
    Options: new Dictionary(optionsOf(conflist), ''),
    Labels: new Dictionary(labels, ''),
  };
  return withHidden(view, { ID: id });
}

/** The options of `-o` by docker's names, from a configuration list that may be external and is not validated. */
function optionsOf(conflist: unknown): Record<string, string> {
  const { plugins, rootlessNet: mark } = fieldsOf(conflist);
  const { mtu, master, mode } = fieldsOf(Array.isArray(plugins) ? plugins[0] : undefined);
  return {
    ...(typeof mtu === 'number' ? { [MTU_OPTION]: String(mtu) } : {}),
    ...(fieldsOf(mark).icc === false ? { [ICC_OPTION]: 'false' } : {}),
    ...(typeof master === 'string' ? { parent: master } : {}),
    ...(typeof mode === 'string' ? { macvlan_mode: mode } : {}),
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** A network, and the containers that refer to it, running or not. */
export interface ListedNetwork {
  report: NetworkReport;
  users: readonly ContainerReport[];
}

/** docker's filters of `network ls`. */
export const NETWORK_FILTERS = {
  driver:
    (value) =>
    ({ report }) =>
      report.driver === value,
  id: (value) => {
    const pattern = patternOf(value);
    return ({ report }) => pattern.test(report.id);
  },
  label: (value) => {
    const test = labelTest(value);
    return ({ report }) => test(report.labels);
  },
  name: (value) => {
    const pattern = patternOf(value);
    return ({ report }) => pattern.test(report.name);
  },
  scope: (value) => {
    const scope = oneOf(value, ['local', 'global', 'swarm']);
    return () => scope === 'local';
  },
  type: (value) => {
    const builtin = oneOf(value, ['builtin', 'custom']) === 'builtin';
    return ({ report }) => isPredefined(report.name) === builtin;
  },
  dangling: (value) => {
    const wanted = ['true', '1'].includes(oneOf(value, ['true', 'false', '1', '0']));
    return ({ report, users }) => !isPredefined(report.name) && (users.length === 0) === wanted;
  },
} satisfies FilterKinds<ListedNetwork>;
