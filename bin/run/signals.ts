/**
 * The signals that are passed on to the command: all that can be caught but SIGCHLD, SIGPIPE and SIGURG, which are about
 * this process alone.
 */
import { constants } from 'node:os';
import { native } from '../native/index.js';

const { signals } = constants;

const NOT_PASSED_ON: readonly number[] = [
  signals.SIGKILL,
  signals.SIGSTOP,
  signals.SIGCHLD,
  signals.SIGPIPE,
  signals.SIGURG,
];

/** Passed on, and then obeyed: a shell that waits for us is to see that we stop. */
const STOPPING: readonly number[] = [signals.SIGTSTP, signals.SIGTTIN, signals.SIGTTOU];

/** Those that end a start that is under way, when there is no command yet. */
const ENDING: readonly number[] = [signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGQUIT];

/** The last real-time signal (signal(7)). */
const LAST_SIGNAL = 64;
/** The C library keeps the first two real-time signals for itself. */
const RESERVED: readonly number[] = [32, 33];

/** Node refuses the last of these, and would never return from the others where they are faults of our own. */
const FAULTS: readonly number[] = [signals.SIGSEGV, signals.SIGBUS, signals.SIGFPE, signals.SIGILL, signals.SIGPROF];

const names = new Map(Object.entries(signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** Whether the signal ends a start that is under way. */
export function endsStart(number: number): boolean {
  return ENDING.includes(number);
}

/**
 * Calls `listener` with the number of each signal that is to be passed on, from now on; its promise says when that is done,
 * since a process that stops sends nothing any more. Throws NativeMissingError.
 */
export function takeSignals(listener: (number: number) => Promise<void>): void {
  const take = (number: number) => {
    void listener(number).then(() => {
      if (STOPPING.includes(number)) process.kill(process.pid, 'SIGSTOP');
    });
  };
  for (let number = 1; number <= LAST_SIGNAL; number++) {
    if (NOT_PASSED_ON.includes(number) || RESERVED.includes(number)) continue;
    const name = FAULTS.includes(number) ? undefined : names.get(number);
    // Where Node can do it, so that libraries see that the signal is taken, and do not end the process for it.
    if (name === undefined) native().onSignal(number, take);
    else process.on(name, () => take(number));
  }
}
