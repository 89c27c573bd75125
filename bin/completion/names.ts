/** Values that exist now: stacks, containers, networks, ports; and the choices of options of rootless-run. */
import { constants } from 'node:os';
import type { Command, Option } from 'commander';
import { ContainerClient } from '../../parent/client/container-client.js';
import { StackClient } from '../../parent/client/stack-client.js';
import { networkNames } from '../../parent/network/index.js';
import { portDriverNames } from '../../parent/port/index.js';
import { findStacks } from '../../parent/stack-discovery/running.js';
import { knownLocks } from '../../parent/state/user-directories.js';
import { handleOf } from '../../protocol/state/stack-record.js';
import { optionTable } from '../run/options/table.js';
import { findRunningStack } from '../stack/stack-discovery.js';
import { shells } from './shell-scripts.js';

/** How long a completion may take, in ms: users do not wait longer. */
const DEADLINE_MS = 1_500;

const NETWORK_MODES = ['bridge', 'none', 'host'];

/** By the names that arguments and values have in the command objects. */
const readers: Readonly<Record<string, () => Promise<readonly string[]>>> = {
  shell: async () => shells,
  signal: async () => Object.keys(constants.signals).map((name) => name.replace(/^SIG/, '')),
  stack: async () => (await findStacks(knownLocks())).running.map(handleOf),
  container: async () => (await containers()).map(({ name }) => name),
  network: async () => (await networks()).map(({ name }) => name),
  id: async () => {
    const socket = await findRunningStack({});
    const ports = socket === undefined ? [] : await new StackClient(socket).listPorts();
    return ports.map(({ id }) => `${id}`);
  },
};

/** Values for an argument or an option's value of that name; none where nothing answers in time. */
export async function existingValues(
  name: string,
  { command, option }: { command: Command; option?: Option },
): Promise<readonly string[]> {
  const choices = option && choicesOf(option);
  if (choices) return choices;
  const read = readers[name];
  if (!read) return [];
  const late = new Promise<readonly string[]>((resolve) => setTimeout(() => resolve([]), DEADLINE_MS).unref());
  const found = await Promise.race([read(), late]).catch(() => []);
  // A container may be on networks of these names, too.
  return name === 'network' && command.parent?.name() !== 'network'
    ? [...new Set([...NETWORK_MODES, ...found])]
    : found;
}

/** Of an option of rootless-run that has fixed values. */
function choicesOf({ flags }: Option): readonly string[] | undefined {
  if (flags === '--net <driver>') return networkNames;
  if (flags === '--port-driver <driver>') return portDriverNames;
  return Object.values(optionTable)
    .flat()
    .find((rule) => rule.flags === flags)?.choices;
}

async function client(): Promise<ContainerClient | undefined> {
  const socket = await findRunningStack({});
  return socket === undefined ? undefined : new ContainerClient(socket);
}

const containers = async () => (await (await client())?.list()) ?? [];
const networks = async () => (await (await client())?.networks()) ?? [];
