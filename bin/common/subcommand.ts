/** What the subcommands of rootless-run have in common: ls, stop … */
import type { Command } from 'commander';
import { setLinePrefix } from '../../parent/log/log.js';
import { rootlessRun } from '../run/dialect.js';
import { reportFailure } from '../run/run-program.js';
import { EXIT, throwUsageErrors } from './failure.js';
import { wrapHelp } from './help-text.js';

/** Parses the arguments, which runs the command's action; resolves with the exit code. Never throws. */
export async function runSubcommand(command: Command, args: readonly string[]): Promise<number> {
  setLinePrefix(rootlessRun.linePrefix);
  throwUsageErrors(wrapHelp(command));
  try {
    await command.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return reportFailure(error, rootlessRun, EXIT.failed);
  }
}
