/** `rootless-run doctor`: checks this machine, and shows how to fix what does not work. */
import { Command } from 'commander';
import { examine, type Finding } from '../../parent/doctor/index.js';
import { thisMachine } from '../../parent/doctor/this-machine.js';
import { painted } from '../../parent/log/colours.js';
import { containerDirectories } from '../../parent/state/user-directories.js';
import { EXIT } from '../common/failure.js';
import { runSubcommand } from '../common/subcommand.js';

const STYLES = { ok: 'green', warning: 'yellow', failed: 'red' } as const;

export function makeDoctorCommand(): Command {
  return new Command('rootless-run doctor')
    .description('Check this machine, and show how to fix what does not work.')
    .option('--json', 'a JSON array of {name, status, what, fix}')
    .addHelpText('after', '\nExit code 0 if everything that is required works, 1 otherwise.');
}

/** Resolves with the exit code. */
export async function doctor(args: readonly string[]): Promise<number> {
  const command = makeDoctorCommand();
  let failed = false;
  command.action(async ({ json = false }: { json?: boolean }) => {
    const findings = await examine(thisMachine(() => containerDirectories().confDir));
    process.stdout.write(json ? `${JSON.stringify(findings, undefined, 2)}\n` : asText(findings));
    failed = findings.some(({ status }) => status === 'failed');
  });
  return (await runSubcommand(command, args)) || (failed ? EXIT.failed : 0);
}

function asText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(({ name, status, what, fix }) => {
      const mark = (status === 'failed' ? 'FAILED' : status).padEnd(7);
      const fixLines =
        fix === undefined ? [] : fix.split('\n').map((line, index) => `${index === 0 ? '  fix: ' : '       '}${line}`);
      return [`${painted(STYLES[status], mark, process.stdout)}  ${name.padEnd(width)}  ${what}`, ...fixLines, ''].join(
        '\n',
      );
    })
    .join('');
}
