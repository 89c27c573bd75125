/** `network rm` and `network check`. */
import { Command } from 'commander';
import { isMissing } from '../../../../parent/client/errors.js';
import { printLine } from '../../../common/print.js';
import type { NetDeps } from '../../deps.js';
import { pseudoNetwork } from '../../docker/network-row.js';

export function makeRmCommand({ stack, report }: NetDeps): Command {
  return new Command('rm')
    .alias('remove')
    .description('remove networks')
    .argument('<network...>')
    .option('-f, --force', 'ignore networks that do not exist')
    .action(async (names: string[], { force = false }: { force?: boolean }) => {
      // Predefined networks exist, and the stack refuses to remove them.
      const existing = names.some(pseudoNetwork) ? [] : names;
      const containers = await stack.connectForExisting('network', existing).catch((error: unknown) => {
        if (force && isMissing(error)) return undefined;
        throw error;
      });
      if (!containers) return;
      await report.each(names, async (name) => {
        try {
          await containers.removeNetwork(pseudoNetwork(name)?.name ?? name);
          printLine(name);
        } catch (error) {
          if (!force || !isMissing(error)) throw error;
        }
      });
    });
}

export function makeCheckCommand({ stack, report }: NetDeps): Command {
  return new Command('check')
    .description('compare networks with the state of the kernel')
    .argument('<network...>')
    .action(async (names: string[]) => {
      const containers = await stack.connectForExisting('network', names);
      await report.each(names, async (name) => {
        const problems = await containers.checkNetwork(name);
        if (problems.length === 0) printLine(`${name}: ok`);
        for (const problem of problems) printLine(`${name}: ${problem}`);
        if (problems.length > 0) process.exitCode = 1;
      });
    });
}
