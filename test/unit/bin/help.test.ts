import assert from 'node:assert/strict';
import type { Command } from 'commander';
import { wrapHelp } from '../../../bin/common/help-text.js';
import { makeRootlessctlCommand } from '../../../bin/ctl/command.js';
import { makeRootlessNetCommand } from '../../../bin/net/command.js';
import { rootlesskit, rootlessRun } from '../../../bin/run/dialect.js';
import { makeRunCommand } from '../../../bin/run/options/command.js';
import { makeServeCommand } from '../../../bin/run/serve.js';
import { makeDoctorCommand } from '../../../bin/stack/doctor.js';
import { makeLsCommand } from '../../../bin/stack/ls.js';
import { makeStopCommand } from '../../../bin/stack/stop.js';
import { makeSystemdCommand } from '../../../bin/systemd/command.js';

const roots: readonly Command[] = [
  makeRunCommand(rootlessRun),
  makeRunCommand(rootlesskit),
  makeServeCommand(),
  ...[makeSystemdCommand(), makeDoctorCommand(), makeLsCommand(), makeStopCommand()].map(wrapHelp),
  makeRootlessNetCommand(),
  makeRootlessctlCommand(),
];

function* all(command: Command, before = ''): Generator<[path: string, command: Command]> {
  const path = `${before}${command.name()}`;
  yield [path, command];
  for (const below of command.commands) yield* all(below, `${path} `);
}

/** With all that stands behind the options. */
function helpOf(command: Command): string {
  let text = '';
  const { writeOut } = command.configureOutput();
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 80,
  });
  command.outputHelp();
  if (writeOut) command.configureOutput({ writeOut });
  return text;
}

describe('the help of each command', () => {
  for (const [path, command] of roots.flatMap((root) => [...all(root)])) {
    it(`is its own, and fits 80 columns (${path})`, () => {
      const text = helpOf(command);
      assert.match(text, new RegExp(`^Usage: ${path}\\b`));
      // What cannot be broken is as long as it is.
      const long = text.split('\n').filter((line) => line.length > 80 && line.trim().includes(' '));
      assert.deepEqual(long, []);
    });
  }

  it('of serve describes how serve ends, not a command', () => {
    const text = helpOf(makeServeCommand());
    assert.match(text, /75 if the stack is already\s+running/);
    assert.doesNotMatch(text, /exit code is passed on/);
  });
});
