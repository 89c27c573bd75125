/**
 * A CNI plugin that does nothing: node cni-noop.js PLUGIN, where PLUGIN is the file that it was started as, named after
 * its type. Appends a line about each run to `runs.jsonl` beside that file: {"type", "env": the variables of CNI and
 * PATH, "stdin"}. Answers what `replies.json` there has for its type and the command: {"stdout", "stderr", "code"};
 * where there is nothing ADD passes prevResult on, and the others are silent.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

interface Reply {
  stdout?: unknown;
  stderr?: string;
  code?: number;
}

const [plugin = ''] = process.argv.slice(2);
const type = basename(plugin);
const inherited = Object.entries(process.env).filter(([name]) => name.startsWith('CNI_') || name === 'PATH');
const env = Object.fromEntries(inherited);
const stdin = JSON.parse(readFileSync(0, 'utf8')) as Record<string, unknown>;
appendFileSync(join(dirname(plugin), 'runs.jsonl'), `${JSON.stringify({ type, env, stdin })}\n`);

const command = env.CNI_COMMAND ?? '';
const replies = JSON.parse(readFileSync(join(dirname(plugin), 'replies.json'), 'utf8')) as Record<
  string,
  Record<string, Reply>
>;
const usual = command === 'ADD' ? { stdout: stdin.prevResult ?? { cniVersion: stdin.cniVersion } } : {};
const { stdout, stderr = '', code = 0 }: Reply = replies[type]?.[command] ?? usual;
process.stderr.write(stderr);
// A text goes out as it is, so that it need not be JSON.
if (stdout !== undefined) process.stdout.write(typeof stdout === 'string' ? stdout : JSON.stringify(stdout));
process.exitCode = code;
