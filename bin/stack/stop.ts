/** `rootless-run stop`: stops running stacks, and what is left of killed ones. */
import { Command } from 'commander';
import { UsageError, UserError } from '../../parent/errors.js';
import { chooseStack, matchesStack, onlyStack } from '../../parent/stack-discovery/choose.js';
import { findStacks, type Remnant, type Stacks } from '../../parent/stack-discovery/running.js';
import { endRemnant, STOP_TIMEOUT, stopStack } from '../../parent/stack-discovery/stop.js';
import { knownLocks } from '../../parent/state/user-directories.js';
import { handleOf, type StackRecord } from '../../protocol/state/stack-record.js';
import { EXIT, failureOf } from '../common/failure.js';
import { printErrorLine, printLine } from '../common/print.js';
import { runSubcommand } from '../common/subcommand.js';

interface StopOptions {
  all?: boolean;
  time?: number;
}

/** What is stopped. */
type Target = { stack: StackRecord } | { remnant: Remnant };

export function makeStopCommand(): Command {
  return new Command('rootless-run stop')
    .usage('[options] [STACK...]')
    .description(
      'Stop stacks gracefully, by name, process ID or state directory; without an argument, the only running stack.',
    )
    .argument('[stack...]', 'name, process ID or state directory, as listed by rootless-run ls')
    .option(
      '-t, --time <seconds>',
      `time before a stack is killed, 0 for immediately (default: ${STOP_TIMEOUT / 1000})`,
      parseTime,
    )
    .option('-a, --all', 'stop all stacks');
}

/** Resolves with the exit code. */
export function stop(args: readonly string[]): Promise<number> {
  const command = makeStopCommand().action(async (words: string[], { all = false, time }: StopOptions) => {
    if (all && words.length > 0) throw new UsageError('--all and the name of a stack are mutually exclusive');
    const stacks = await findStacks(knownLocks());
    const named = words.map((word) => () => find(stacks, word));
    const targets = words.length > 0 ? named : choose(stacks, all).map((target) => () => target);
    // A failure to stop one does not prevent stopping the others.
    const results = await Promise.allSettled(
      targets.map(async (which) => {
        const target = which();
        if ('remnant' in target) await endRemnant(target.remnant);
        else await stopStack(target.stack, time);
        printLine(handleOf('stack' in target ? target.stack : target.remnant.record));
      }),
    );
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    for (const failure of failures.slice(1)) {
      printErrorLine(`rootless-run: error: ${failureOf(failure, EXIT.failed).line}`);
    }
    if (failures.length > 0) throw failures[0];
  });
  return runSubcommand(command, args);
}

/** Throws UserError. */
function find({ running, remnants }: Stacks, word: string): Target {
  const remnant = remnants.find(({ record, pid }) => matchesStack(record, word) || String(pid) === word);
  if (remnant && !running.some((record) => matchesStack(record, word))) return { remnant };
  return { stack: chooseStack(running, word) };
}

/** All stacks, or the only one. Throws UserError. */
function choose({ running, remnants }: Stacks, all: boolean): Target[] {
  if (all) return [...running.map((stack) => ({ stack })), ...remnants.map((remnant) => ({ remnant }))];
  const stack = onlyStack(running, 'rootless-run stop NAME or DIRECTORY, or --all');
  if (stack) return [{ stack }];
  if (remnants.length > 0) return remnants.map((remnant) => ({ remnant }));
  throw new UserError('no stack is running');
}

/** Seconds as ms. Throws UsageError. */
function parseTime(text: string): number {
  if (!/^\d{1,6}$/.test(text)) {
    throw new UsageError(`invalid --time ${JSON.stringify(text)}: expected a number of seconds`);
  }
  return Number(text) * 1000;
}
