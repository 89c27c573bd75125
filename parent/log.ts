import { basename } from 'node:path';
import loglevel from 'loglevel';

/** Lines for people, on stderr, each behind the program's name. Quiet but for warnings unless `--debug` is given. */
export const log = loglevel.getLogger('rootless-net');

let prefix = `${basename(process.argv[1] ?? 'rootless-run').replace(/\.c?js$/, '')}: `;

/** What each line begins with, from now on. */
export function setLinePrefix(text: string): void {
  prefix = text;
}

log.methodFactory = (level) => {
  const mark = level === 'debug' || level === 'info' ? '' : level === 'warn' ? 'warning: ' : `${level}: `;
  return (...words: unknown[]) => process.stderr.write(`${prefix}${mark}${words.join(' ')}\n`);
};
// Whoever reads it may go away; that must not end the stack.
process.stderr.on('error', () => {});

log.setDefaultLevel('info');
log.rebuild();
