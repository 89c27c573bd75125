/**
 * `rootless-run systemd install|uninstall|status`: the stack as a unit of the user's service manager, or of the system's if it
 * has ports that only that one may open. Both run the same stack, so only one of them can be installed at a time.
 */
import { Command } from 'commander';
import { needsSubcommand } from '../common/command-group.js';
import { runSubcommand } from '../common/subcommand.js';
import { type InstallOptions, install, uninstall } from './install.js';
import { status } from './status.js';

/** Resolves with the exit code. */
export async function systemd(args: readonly string[]): Promise<number> {
  let code = 0;
  const command = makeSystemdCommand(async () => {
    code = await status();
  });
  return (await runSubcommand(command, args)) || code;
}

export function makeSystemdCommand(onStatus: () => Promise<void> = async () => {}): Command {
  const command = new Command('rootless-run systemd').description("Run the stack as a service of the user's systemd.");
  command
    .addCommand(makeInstallCommand())
    .addCommand(makeUninstallCommand())
    .addCommand(new Command('status').description('show the unit and its ports').action(onStatus));
  return needsSubcommand(command);
}

function makeInstallCommand(): Command {
  const collect = (value: string, before: string[]) => [...before, value];
  return new Command('install')
    .description('install the unit, enable it and start it; options of rootless-run serve follow --')
    .usage('[options] [-- SERVE-OPTION...]')
    .argument('[serve-option...]')
    .option(
      '-s, --socket <spec>',
      'published port whose socket systemd opens: before the stack starts, and also below 1024; may be repeated',
      collect,
      [],
    )
    .option('--no-start', 'only write the units')
    .option('--replace', 'stop a running stack first, with its containers and ports', false)
    .action((options: string[], values: InstallOptions) => install(options, values));
}

function makeUninstallCommand(): Command {
  return new Command('uninstall')
    .description("stop the service and remove its units; for units of the system's manager, show how")
    .option('--purge', 'remove the persistent ports as well')
    .action(({ purge = false }: { purge?: boolean }) => uninstall(purge));
}
