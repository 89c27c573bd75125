/** Options of a container's log: its limits (--log-driver, --log-opt), and the times of `logs` (--since, --until). */

import { ExpectedError } from '../errors/expected-error.js';

export interface LogOptions {
  /** Of one file, in bytes. */
  maxSize: number;
  /** Largest number of files. */
  maxFiles: number;
}

export const DEFAULT_LOG: LogOptions = { maxSize: 10 * 1024 * 1024, maxFiles: 3 };
/** The only log driver, by podman's name. */
export const LOG_DRIVER = 'k8s-file';
export const MAX_LOG_FILES = 1000;
/** In bytes. */
export const MAX_LOG_SIZE = 1e15;

/** An invalid option; the message is one line. */
export class LogOptionError extends ExpectedError {
  override name = 'LogOptionError';
  override readonly code: string = 'invalid';
  override readonly httpStatus = 400;
}

/** As with docker, units are decimal. */
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** @param texts NAME=VALUE each; of two of one name the last counts. Throws LogOptionError. */
export function parseLogOptions(driver: string, texts: readonly string[]): LogOptions {
  if (driver !== LOG_DRIVER) {
    throw new LogOptionError(`invalid log driver ${JSON.stringify(driver)}: the only one is ${LOG_DRIVER}`);
  }
  const options = { ...DEFAULT_LOG };
  for (const text of texts) {
    const [name = '', value = ''] = text.split(/=(.*)/s);
    if (name === 'max-size') options.maxSize = parseSize(value);
    else if (name === 'max-file') options.maxFiles = parseCount(value);
    else
      throw new LogOptionError(`invalid log option ${JSON.stringify(text)}: expected max-size=SIZE or max-file=COUNT`);
  }
  return options;
}

function parseSize(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?)([kmg]?)b?$/.exec(text.toLowerCase()) ?? [];
  const size = Math.floor(Number(number) * (UNITS[unit] ?? 0));
  if (size >= 1 && size <= MAX_LOG_SIZE) return size;
  throw new LogOptionError(
    `invalid max-size ${JSON.stringify(text)}: expected a number of bytes of at least 1, optionally followed by k, m or g (thousand, million, thousand million)`,
  );
}

function parseCount(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_LOG_FILES) return count;
  throw new LogOptionError(`invalid max-file ${JSON.stringify(text)}: expected a number from 1 to ${MAX_LOG_FILES}`);
}

/** An invalid time; the message is one line. */
export class LogTimeError extends ExpectedError {
  override name = 'LogTimeError';
  override readonly code: string = 'invalid';
  override readonly httpStatus = 400;
}

const NANOSECONDS = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
} as const;
const DURATION = /^(\d{1,12}(\.\d{1,9})?(ns|us|µs|ms|s|m|h))+$/;
const UNIX = /^(\d{1,12})(?:\.(\d{1,9}))?$/;
const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/;
/** The last second of the year 9999. */
const LAST_SECOND = 253_402_300_799n;

/**
 * Parses a time into the log's format, `2026-11-29T09:14:06.123456789Z`, in which times compare as strings. Accepts docker's
 * formats: RFC 3339 and prefixes of it (local time without a zone), seconds since 1970, and durations such as 1h30m, which
 * count back from `now`. Throws LogTimeError.
 */
export function parseLogTime(text: string, now = Date.now()): string {
  if (DURATION.test(text)) return format(BigInt(now) * NANOSECONDS.ms - durationOf(text));
  const [unix, seconds = '', fraction = ''] = UNIX.exec(text) ?? [];
  if (unix !== undefined) return format(BigInt(seconds) * NANOSECONDS.s + BigInt(fraction.padEnd(9, '0')));
  const [date, day = '', hour, minute = '00', second = '00', part = '', zone] = DATE.exec(text) ?? [];
  if (date !== undefined && new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day)) {
    const local = `${day}T${hour ?? '00'}:${minute}:${second}`;
    const moment = Date.parse(`${local}${zone ?? ''}`);
    if (!Number.isNaN(moment)) return format(BigInt(moment) * NANOSECONDS.ms + BigInt(part.padEnd(9, '0')));
  }
  throw new LogTimeError(
    `invalid time ${JSON.stringify(text)}: expected RFC 3339 (2026-11-29T09:14:06Z), seconds since 1970, or a duration (10m)`,
  );
}

function durationOf(text: string): bigint {
  let sum = 0n;
  for (const [, whole = '0', fraction = '', unit] of text.matchAll(/(\d+)(?:\.(\d+))?([a-zµ]+)/g)) {
    const nanoseconds = NANOSECONDS[unit as keyof typeof NANOSECONDS];
    sum += (BigInt(whole + fraction.padEnd(9, '0')) * nanoseconds) / NANOSECONDS.s;
  }
  return sum;
}

function format(nanoseconds: bigint): string {
  const seconds = nanoseconds < 0n ? 0n : nanoseconds / NANOSECONDS.s;
  const rest = nanoseconds < 0n ? 0n : nanoseconds % NANOSECONDS.s;
  const date = new Date(Number(seconds > LAST_SECOND ? LAST_SECOND : seconds) * 1000);
  return `${date.toJSON().slice(0, 19)}.${String(rest).padStart(9, '0')}Z`;
}
