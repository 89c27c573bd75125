import { basename } from 'node:path';
import loglevel from 'loglevel';
import { MAX_LINE, printable, printableJSON } from '../../protocol/text/printable-text.js';
import { painted } from './colours.js';
import { standardError } from './standard-error.js';

/**
 * Lines for people, on stderr, with the program's name as prefix. Debug lines only with `--debug`. Messages may hold text
 * from inside the namespaces: each becomes one line, without control characters. Only debug output (stack traces) has
 * several.
 */
export const log = loglevel.getLogger('rootless-net');

/** Of one debug message. */
const MAX_DEBUG_LINES = 50;

export type LineLevel = 'debug' | 'info' | 'warn' | 'error';

/** Makes the line, without its end, of a message that is safe to show. */
export type LineFormat = (level: LineLevel, message: string) => string;

const WORDS: Readonly<Record<LineLevel, () => string>> = {
  debug: () => '',
  info: () => '',
  warn: () => `${painted('yellow', 'warning:', standardError())} `,
  error: () => `${painted('red', 'error:', standardError())} `,
};

let format = prefixed(`${basename(process.argv[1] ?? 'rootless-run').replace(/\.c?js$/, '')}: `);

function prefixed(prefix: string): LineFormat {
  return (level, message) => `${prefix}${WORDS[level]()}${message}`;
}

/** Sets the prefix of each line. */
export function setLinePrefix(text: string): void {
  format = prefixed(text);
}

/** Makes each line a JSON object with `time` (ISO 8601), `level` and `msg`, as log collectors read them. */
export function setJSONLines(): void {
  format = (level, msg) => printableJSON({ time: new Date().toISOString(), level, msg });
}

/** Sets the format of each line. */
export function setLineFormat(wanted: LineFormat): void {
  format = wanted;
}

log.methodFactory = (method) => {
  const level = method === 'trace' ? 'debug' : method;
  return (...words: unknown[]) => {
    const text = words.join(' ');
    const lines = level === 'debug' ? text.split('\n', MAX_DEBUG_LINES) : [text];
    for (const line of lines) standardError().write(`${format(level, printable(line, MAX_LINE))}\n`);
  };
};
log.setDefaultLevel('info');
log.rebuild();
