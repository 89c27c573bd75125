#!/usr/bin/env node
import './check-node.js';
import { constants } from 'node:os';
import { NativeMissingError } from '../native/index.js';
import { APISocketError } from '../parent/api/socket.js';
import { UserError } from '../parent/errors.js';
import { log } from '../parent/log.js';
import { PortError } from '../parent/port/errors.js';
import { Stack } from '../parent/stack.js';
import { PortSpecError } from '../protocol/port-spec.js';
import { Answered, parseCommandLine } from './run-options.js';

/** Exit code for a command that was ended by a signal, as RootlessKit has it. */
const ENDED_BY_SIGNAL = 255;

/**
 * Signals that are not passed on to the command: those that cannot be caught, that are about this process alone, or that
 * stop and continue a whole job.
 */
const OWN_SIGNALS = new Set<NodeJS.Signals>([
  'SIGKILL',
  'SIGSTOP',
  'SIGCHLD',
  'SIGPIPE',
  'SIGURG',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGCONT',
  'SIGSEGV',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGIOT',
  'SIGSYS',
  'SIGPROF',
  'SIGSTKFLT',
]); // prettier-ignore

/** Signals that end a start that is under way, when there is no command yet. */
const ENDING_SIGNALS = new Set<NodeJS.Signals>(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

function nameOfSignal(number: number): string {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  return entry?.[0] ?? `signal ${number}`;
}

async function main(): Promise<number> {
  const { options, debug } = parseCommandLine(process.argv.slice(2));
  if (debug) log.setLevel('debug');

  let stack: Stack | undefined;
  const abort = new AbortController();
  for (const name of Object.keys(constants.signals) as NodeJS.Signals[]) {
    if (OWN_SIGNALS.has(name)) continue;
    process.on(name, () => {
      if (stack) stack.signal(name);
      else if (ENDING_SIGNALS.has(name)) abort.abort(new UserError(`ended by ${name} while starting`, ENDED_BY_SIGNAL));
    });
  }

  stack = await Stack.start(options, log, abort.signal);
  try {
    const result = await stack.wait();
    if (!result) {
      log.error('the namespaces were ended from outside');
      return ENDED_BY_SIGNAL;
    }
    if ('code' in result) return result.code;
    log.error(`${options.command[0]} was ended by ${nameOfSignal(result.signal)}`);
    return ENDED_BY_SIGNAL;
  } finally {
    await stack.close();
  }
}

/** Shows the error as its one line, and returns the exit code that goes with it. */
function explain(error: unknown): number {
  if (error instanceof Answered) return 0;
  const known =
    error instanceof UserError ||
    error instanceof PortError ||
    error instanceof PortSpecError ||
    error instanceof APISocketError ||
    error instanceof NativeMissingError;
  const text = error instanceof Error ? error.message : String(error);
  log.error(known ? text : `internal error: ${text}; please report it, with the output of --debug`);
  if (!known && error instanceof Error) log.debug(error.stack);
  return error instanceof UserError ? error.exitCode : 1;
}

process.exit(await main().catch(explain));
