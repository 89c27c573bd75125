/**
 * Log lines in RootlessKit's format: that of logrus' TextFormatter, which users filter by (`level=warning`), with the name of
 * the process before each message.
 */
import type { LineFormat } from '../../parent/log/log.js';

const LEVELS = {
  debug: { name: 'debug', color: 37 },
  info: { name: 'info', color: 36 },
  warn: { name: 'warning', color: 33 },
  error: { name: 'error', color: 31 },
} as const;

/** Colored lines are padded to this width, so that fields are aligned. */
const PADDED_TO = 44;

/** In color on a terminal, with the seconds since the start; otherwise with the time, as `key=value`. */
export const logrusLine: LineFormat = (level, text) => {
  const message = `[rootlesskit:parent] ${text}`;
  const { name, color } = LEVELS[level];
  if (process.stderr.isTTY) {
    const seconds = String(Math.floor(process.uptime())).padStart(4, '0');
    return `\x1b[${color}m${name.slice(0, 4).toUpperCase()}\x1b[0m[${seconds}] ${message.padEnd(PADDED_TO)} `;
  }
  return `time="${localTime(new Date())}" level=${name} msg=${JSON.stringify(message)}`;
};

/** Local time in RFC 3339 format, in seconds, with the offset of the time zone. */
function localTime(date: Date): string {
  const offset = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19);
  if (offset === 0) return `${local}Z`;
  const minutes = Math.abs(offset);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${local}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
