/** The command line of rootless-run and rootlesskit as commander knows it, made from the table of options. */
import { Command, Option } from 'commander';
import { VERSION } from '../../../protocol/version.js';
import { throwUsageErrors, type UsageErrorMaker, usageError } from '../../common/failure.js';
import { addTextAfter, wrapHelp } from '../../common/help-text.js';
import { writeOutput } from '../../common/standard-output.js';
import { ignoreEmptyOptions } from '../../rootlesskit-compat/empty-options.js';
import { versionOf } from '../../rootlesskit-compat/rootlesskit-face.js';
import type { Dialect } from '../dialect.js';
import { descriptionOf, isIgnored, isSwitch, nameOf, type OptionRule, textFor } from './rule.js';
import { rulesFor } from './table.js';
import { IncorrectUsageError } from './values.js';

const collect = (value: string, before: string[] = []): string[] => [...before, ...value.split(',')];

/** @param after text of --help behind the options */
export function makeRunCommand(dialect: Dialect, after = textAfter(dialect)): Command {
  const command = new Command(dialect.name)
    .usage('[options] [--] COMMAND [ARGUMENT...]')
    .description('Run COMMAND in a network namespace of its own, without root, and publish its ports on the host.')
    .version(`${dialect.name} version ${versionOf(dialect)}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .argument('[command...]')
    .configureOutput({ writeOut: writeOutput });
  const refused: string[] = [];
  for (const [group, rules] of rulesFor(dialect)) {
    command.optionsGroup(`${group}:`);
    for (const rule of rules) {
      addOption(command, rule, dialect);
      if (rule.refusesEmpty?.includes(dialect.name)) refused.push(nameOf(rule));
    }
  }
  wrapHelp(addTextAfter(command, after));
  ignoreEmptyOptions(command, refused, { reset: dialect.name === 'rootlesskit' });
  return throwUsageErrors(command, incorrectUsage);
}

const incorrectUsage: UsageErrorMaker = (message, code, command) =>
  code === 'commander.unknownOption'
    ? new IncorrectUsageError(message, { hint: `${command.name()} --help` })
    : usageError(message, code, command);

function addOption(command: Command, rule: OptionRule, dialect: Dialect): void {
  const implied = textFor(rule.impliedDefault, dialect);
  const description = `${descriptionOf(rule, dialect)}${implied === undefined ? '' : ` (default: ${implied})`}`;
  if (rule.list) command.option(rule.flags, description, collect);
  else command.option(rule.flags, description, textFor(rule.default, dialect));
  // Scripts may give them; help does not list them. RootlessKit's help has them.
  if (isIgnored(rule) && dialect.name === 'rootless-run') command.options.at(-1)?.hideHelp();
  // What --name=false is rewritten to.
  if (isSwitch(rule)) command.addOption(new Option(`--no-${nameOf(rule)}`).hideHelp());
}

function textAfter({ name }: Dialect): string {
  if (name === 'rootlesskit') {
    return `This is rootless-net ${VERSION} under RootlessKit's name, with RootlessKit's defaults.

Examples:
  rootlesskit bash
  rootlesskit --copy-up=/etc bash
  rootlesskit --net=slirp4netns --disable-host-loopback --copy-up=/etc \\
    --port-driver=builtin -p 127.0.0.2:8080:80/tcp bash`;
  }
  return `Examples:
  rootless-run -p 127.0.0.2:8080:80 -- nginx -g 'daemon off;'
  rootless-run -p 8080:80 -p '[::1]:8443:443' -p 127.0.0.3:5353:53/udp -- ./app
  rootless-run -- bash

Other commands, each with its own --help: rootless-run ls and stop list and stop running stacks, serve runs a stack without a
command, systemd installs it as a service, doctor checks this machine, completion prints a script for the shell.

The exit code is that of the command, or 128 + N if signal N terminated it; 127 if the command was not found, 126 if it cannot
be executed, 125 if the command line is invalid or the namespaces, the network or a port could not be set up. rootlessctl adds
and removes ports of a running stack.`;
}
