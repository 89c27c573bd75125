/** Completion of rootless-run, whose subcommands are programs of their own. */
import type { Command } from 'commander';
import { runSubcommand } from '../common/subcommand.js';
import { rootlessRun } from '../run/dialect.js';
import { makeRunCommand } from '../run/options/command.js';
import { makeServeCommand } from '../run/serve.js';
import { makeDoctorCommand } from '../stack/doctor.js';
import { makeLsCommand } from '../stack/ls.js';
import { makeStopCommand } from '../stack/stop.js';
import { makeSystemdCommand } from '../systemd/command.js';
import { makeCompletionCommand, printCompletions } from './command.js';

const PROGRAM = 'rootless-run';

/** The command with its subcommands, as completion sees it. */
export function makeWholeCommand(): Command {
  const program = makeRunCommand(rootlessRun);
  const subcommands = [
    makeLsCommand(),
    makeStopCommand(),
    makeServeCommand(),
    makeSystemdCommand(),
    makeDoctorCommand(),
  ];
  for (const sub of subcommands) program.addCommand(sub.name(sub.name().replace(`${PROGRAM} `, '')));
  program.addCommand(makeCompletionCommand(PROGRAM));
  return program;
}

/** Resolves with the exit code. */
export function completion(args: readonly string[]): Promise<number> {
  return runSubcommand(makeCompletionCommand(PROGRAM, `${PROGRAM} completion`), args);
}

/** Resolves with the exit code. */
export async function completeWords(args: readonly string[]): Promise<number> {
  await printCompletions(makeWholeCommand(), args);
  return 0;
}
