/** `rootless-run doctor`: what works on this machine, and what to do about what does not. */
import { Command, CommanderError } from 'commander';
import { examine, type Finding } from '../parent/doctor/index.js';
import { thisMachine } from '../parent/doctor/this-machine.js';
import { UsageError } from '../parent/errors.js';
import { setLinePrefix } from '../parent/log.js';
import { rootlessRun } from './dialect.js';
import { explain } from './run-program.js';

export function makeDoctorCommand(): Command {
  return new Command('rootless-run doctor')
    .description('Examine this machine: what works, what does not, and what to do about it.')
    .option('--json', 'a JSON array of {name, status, what, fix}')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', '\nExit code 0 where all works that nothing can do without, 1 where not.');
}

/** Resolves with the exit code. */
export async function doctor(args: readonly string[]): Promise<number> {
  setLinePrefix(rootlessRun.linePrefix);
  const command = makeDoctorCommand();
  try {
    command.parse(args, { from: 'user' });
    const findings = await examine(thisMachine);
    process.stdout.write(
      command.opts<{ json?: boolean }>().json ? `${JSON.stringify(findings, undefined, 2)}\n` : asText(findings),
    );
    return findings.some(({ status }) => status === 'failed') ? 1 : 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return explain(error, rootlessRun);
    if (error.exitCode === 0) return 0;
    return explain(new UsageError(error.message.replace(/^error: /, '').replaceAll('\n', ' ')), rootlessRun);
  }
}

function asText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(({ name, status, what, fix }) => {
      const mark = status === 'failed' ? 'FAILED' : status;
      const cure =
        fix === undefined ? [] : fix.split('\n').map((line, index) => `${index === 0 ? '  fix: ' : '       '}${line}`);
      return [`${mark.padEnd(7)}  ${name.padEnd(width)}  ${what}`, ...cure, ''].join('\n');
    })
    .join('');
}
