import { basename } from 'node:path';
import loglevel from 'loglevel';

/** Lines for people, on stderr, each behind the program's name. Quiet but for warnings unless `--debug` is given. */
export const log = loglevel.getLogger('rootless-net');

const program = basename(process.argv[1] ?? 'rootless-run').replace(/\.js$/, '');

log.methodFactory = (level) => {
  const mark = level === 'debug' || level === 'info' ? '' : level === 'warn' ? 'warning: ' : `${level}: `;
  return (...words: unknown[]) => process.stderr.write(`${program}: ${mark}${words.join(' ')}\n`);
};
// Whoever reads it may go away; that must not end the stack.
process.stderr.on('error', () => {});

log.setDefaultLevel('info');
log.rebuild();
