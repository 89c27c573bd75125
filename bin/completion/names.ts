/** Values that exist now: stacks, containers, networks, ports; and the choices of options of rootless-run. */
import { constants } from 'node:os';
import type { Command, Option } from 'commander';
import { ContainerClient } from '../../parent/client/container-client.js';
import { OfflineContainers } from '../../parent/client/offline-containers.js';
import { networkNames } from '../../parent/network/index.js';
import { portDriverNames } from '../../parent/port/index.js';
import { findStacks } from '../../parent/stack-discovery/running.js';
import { containerDirectories, knownLocks } from '../../parent/state/user-directories.js';
import { formatHostAddress } from '../../protocol/net/host-address.js';
import { reachableIP } from '../../protocol/ports/rootlesskit-json.js';
import { handleOf } from '../../protocol/state/stack-record.js';
import { connectToStack } from '../ctl/connection.js';
import { optionTable } from '../run/options/table.js';
import { findRunningStack } from '../stack/stack-discovery.js';
import type { Place } from './complete.js';
import { shells } from './shell-scripts.js';

/** How long a completion may take, in ms: users do not wait longer. */
const DEADLINE_MS = 1_500;

const NETWORK_MODES = ['bridge', 'none', 'host'];

type Reader = (place: Place) => Promise<readonly string[]>;

const containers: Reader = async (place) => (await (await reports(place)).list()).map(({ name }) => name);
const networks: Reader = async (place) => (await (await reports(place)).networks()).map(({ name }) => name);

/** By the names that arguments and values have in the command objects. */
const readers: Readonly<Record<string, Reader>> = {
  shell: async () => shells,
  signal: async () => Object.keys(constants.signals).map((name) => name.replace(/^SIG/, '')),
  stack: async () => (await findStacks(knownLocks())).running.map(handleOf),
  container: containers,
  // A container may be on networks of these names, too.
  network: async (place) => [...new Set([...(isOfContainer(place) ? NETWORK_MODES : []), ...(await networks(place))])],
  name: async (place) => {
    if (place.command.name() === 'inspect') return [...(await containers(place)), ...(await networks(place))];
    return place.command.parent?.name() === 'overlay' ? networks(place) : [];
  },
  id: async (place) => (await ports(place)).map(({ id }) => `${id}`),
  address: async (place) =>
    (await ports(place)).map(({ spec }) => {
      const transport = spec.proto.startsWith('udp') ? 'udp' : 'tcp';
      return formatHostAddress({ transport, ip: reachableIP(spec), port: spec.parentPort }).replace(/\/tcp$/, '');
    }),
};

/** Values for an argument or an option's value of that name; none where nothing answers in time. */
export async function existingValues(name: string, place: Place): Promise<readonly string[]> {
  const { command, option } = place;
  const choices = option && choicesOf(option);
  if (choices) return choices;
  // What options of rootless-run call a network is a subnet.
  const read = name === 'network' && rootOf(command).name() === 'rootless-run' ? undefined : readers[name];
  if (!read) return [];
  const late = new Promise<readonly string[]>((resolve) => setTimeout(() => resolve([]), DEADLINE_MS).unref());
  return Promise.race([read(place), late]).catch(() => []);
}

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

/** Whether it is the network of a new container. */
function isOfContainer({ command, option }: Place): boolean {
  return option !== undefined && ['run', 'create'].includes(command.name()) && command.parent?.name() !== 'network';
}

/** Of an option of rootless-run that has fixed values. */
function choicesOf({ flags }: Option): readonly string[] | undefined {
  if (flags === '--net <driver>') return networkNames;
  if (flags === '--port-driver <driver>') return portDriverNames;
  return Object.values(optionTable)
    .flat()
    .find((rule) => rule.flags === flags)?.choices;
}

/** As rootless-net finds its stack; from disk where none runs. */
async function reports({ given }: Place): Promise<ContainerClient | OfflineContainers> {
  const socket = await findRunningStack({ stack: given.get('--stack'), stateDir: given.get('--state-dir') });
  if (socket !== undefined) return new ContainerClient(socket);
  return new OfflineContainers({ ...containerDirectories(), warn: () => {} });
}

/** As rootlessctl finds its stack. */
async function ports({ given }: Place) {
  const [socket, stack] = [given.get('--socket'), given.get('--stack') ?? given.get('--name')];
  const client = await connectToStack({ ...(socket && { socket }), ...(stack && { stack }) });
  return client.listPorts();
}
