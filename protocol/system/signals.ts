/** The names and numbers of signals (signal(7)). */
import { constants } from 'node:os';
import { ContainerOptionError } from '../containers/option-error.js';

/** Names by number, from 1; the same on all architectures that Node supports. */
const NAMES =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );
const OTHER_NAMES: Readonly<Record<string, string>> = { IOT: 'ABRT', CLD: 'CHLD', POLL: 'IO' };
/** Real-time signals that programs can use; the C library reserves the ones before. */
const RTMIN = 34;
const RTMAX = 64;

/** The name of a signal, such as SIGTERM. */
export function signalName(number: number): string {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  return entry?.[0] ?? `signal ${number}`;
}

/** Number of a signal, such as TERM, sigterm, 15, or RTMIN+3. Throws ContainerOptionError. */
export function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [, end, sign, offset = '0'] = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  const realTime = end === undefined ? 0 : (end === 'MIN' ? RTMIN : RTMAX) + Number(`${sign ?? '+'}${offset}`);
  const number = /^\d{1,2}$/.test(text)
    ? Number(text)
    : end === undefined
      ? NAMES.indexOf(OTHER_NAMES[name] ?? name) + 1
      : realTime >= RTMIN
        ? realTime
        : 0;
  if (number >= 1 && number <= RTMAX && (number <= NAMES.length || number >= RTMIN)) return number;
  throw new ContainerOptionError(
    `unknown signal ${JSON.stringify(text)}: expected a name such as TERM or SIGTERM, or a number`,
  );
}
