/** `overlay` and its subcommands: networks that reach over several hosts (docs/overlay.md). */
import { Command } from 'commander';
import { needsSubcommand } from '../../../common/command-group.js';
import type { NetDeps } from '../../deps.js';
import { makeExpelCommand, makeLeaveCommand, makeRmCommand, makeRotateCommand } from './change.js';
import { makeCreateCommand, makeJoinCommand, makeTokenCommand } from './join.js';
import { makeListCommand, makeStatusCommand } from './list.js';

/** In the order of --help. */
const subcommands: readonly ((deps: NetDeps) => Command)[] = [
  makeCreateCommand,
  makeJoinCommand,
  makeTokenCommand,
  makeListCommand,
  makeStatusCommand,
  makeRotateCommand,
  makeExpelCommand,
  makeLeaveCommand,
  makeRmCommand,
];

export function makeOverlayCommand(deps: NetDeps): Command {
  const overlay = new Command('overlay')
    .description('manage networks that reach over several hosts')
    .enablePositionalOptions();
  for (const make of subcommands) overlay.addCommand(make(deps));
  return needsSubcommand(overlay);
}
