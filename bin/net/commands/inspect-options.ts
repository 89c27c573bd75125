/** The options that `inspect` and `network inspect` have in common, and their output. */
import type { Command } from 'commander';
import { type Format, inspectFormatOption, modeOption, printInspected } from '../docker/format.js';
import type { Mode } from '../docker/inspect.js';
import type { Reporter } from '../report.js';
import type { Value } from '../template/index.js';

export interface InspectOptions {
  format?: Format;
  mode: Mode;
}

export function withInspectOptions(command: Command): Command {
  return command.addOption(inspectFormatOption()).addOption(modeOption());
}

/** Prints what was found, also where some names do not exist; throws the first error afterwards. */
export async function inspectEach(
  report: Reporter,
  names: readonly string[],
  { format }: InspectOptions,
  inspect: (name: string) => Promise<Value>,
): Promise<void> {
  const shown: Value[] = [];
  try {
    await report.each(names, async (name) => {
      shown.push(await inspect(name));
    });
  } finally {
    printInspected(format, shown);
  }
}
