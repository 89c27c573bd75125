/** `network` and its subcommands. */
import { Command } from 'commander';
import { needsSubcommand } from '../../../common/command-group.js';
import type { NetDeps } from '../../deps.js';
import { makeConnectCommand, makeDisconnectCommand } from './connect.js';
import { makeCreateCommand, makeUpdateCommand } from './create.js';
import { makeInspectCommand, makeListCommand, makePruneCommand } from './list.js';
import { makeCheckCommand, makeRmCommand } from './remove.js';

/** In the order of --help. */
const subcommands: readonly ((deps: NetDeps) => Command)[] = [
  makeCreateCommand,
  makeUpdateCommand,
  makeListCommand,
  makeInspectCommand,
  makePruneCommand,
  makeRmCommand,
  makeCheckCommand,
  makeConnectCommand,
  makeDisconnectCommand,
];

export function makeNetworkCommand(deps: NetDeps): Command {
  const network = new Command('network').description('manage networks').enablePositionalOptions();
  for (const make of subcommands) network.addCommand(make(deps));
  return needsSubcommand(network);
}
