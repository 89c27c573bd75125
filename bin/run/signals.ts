/**
 * Signals that are forwarded to the command: all that can be caught except SIGCHLD, SIGPIPE and SIGURG, which concern only
 * this process.
 */
import { constants } from 'node:os';
import { native } from '../../native/index.js';

const { signals } = constants;

const NOT_FORWARDED: readonly number[] = [
  signals.SIGKILL,
  signals.SIGSTOP,
  signals.SIGCHLD,
  signals.SIGPIPE,
  signals.SIGURG,
];

/** Forwarded, then applied to this process as well, so that a shell which waits for it sees it stop. */
const STOPPING: readonly number[] = [signals.SIGTSTP, signals.SIGTTIN, signals.SIGTTOU];

/** Signals that abort the start, before the command is running. */
const ENDING: readonly number[] = [signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGQUIT];

/** The last real-time signal (signal(7)). */
const LAST_SIGNAL = 64;
/** The C library reserves the first two real-time signals. */
const RESERVED: readonly number[] = [32, 33];

/** Node refuses a handler for the last of these, and would never return from the others if this process caused them. */
const FAULTS: readonly number[] = [signals.SIGSEGV, signals.SIGBUS, signals.SIGFPE, signals.SIGILL, signals.SIGPROF];

/** Calls `listener` for a signal of that name, unless it must stay ignored. */
export function onSignal(name: NodeJS.Signals, ignored: readonly number[], listener: () => void): void {
  if (!ignored.includes(signals[name])) process.on(name, listener);
}

const names = new Map(Object.entries(signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** Whether the signal aborts the start. */
export function endsStart(number: number): boolean {
  return ENDING.includes(number);
}

/**
 * Calls `listener` with the number of each signal to forward, from now on. Its promise must resolve when the signal has been
 * forwarded: a process that is stopped forwards nothing. Signals in `ignored` stay ignored. Throws NativeMissingError.
 */
export function forwardSignals(ignored: readonly number[], listener: (number: number) => Promise<void>): void {
  const forward = (number: number) => {
    void listener(number).then(() => {
      if (STOPPING.includes(number)) process.kill(process.pid, 'SIGSTOP');
    });
  };
  for (let number = 1; number <= LAST_SIGNAL; number++) {
    if (NOT_FORWARDED.includes(number) || RESERVED.includes(number) || ignored.includes(number)) continue;
    const name = FAULTS.includes(number) ? undefined : names.get(number);
    // By Node where possible, so that libraries see a handler and do not end the process themselves.
    if (name === undefined) native().onSignal(number, forward);
    else process.on(name, () => forward(number));
  }
}
