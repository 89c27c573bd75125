import { basename } from 'node:path';
import loglevel from 'loglevel';

/** Lines for people, on stderr, each behind the program's name. Quiet but for warnings unless `--debug` is given. */
export const log = loglevel.getLogger('rootless-net');

const program = basename(process.argv[1] ?? 'rootless-run').replace(/\.js$/, '');

log.methodFactory = (level) => {
  const mark = level === 'debug' || level === 'info' ? '' : level === 'warn' ? 'warning: ' : `${level}: `;
  return (...words: unknown[]) => process.stderr.write(`${program}: ${mark}${words.join(' ')}\n`);
};
log.setDefaultLevel('info');
log.rebuild();
