/** Commands that only have subcommands, such as `rootless-net network`. */
import type { Command } from 'commander';
import { UsageError } from '../../parent/errors.js';
import { pathOf } from './failure.js';

/** Makes the command fail in one line without a subcommand, and with an unknown one. */
export function needsSubcommand(command: Command): Command {
  return command
    .helpCommand(true)
    .allowExcessArguments()
    .action(() => {
      const [given] = command.args;
      const path = pathOf(command);
      const what = given === undefined ? `${path} requires a subcommand` : `unknown command '${given}'`;
      throw new UsageError(what, { hint: `${path} --help` });
    });
}
