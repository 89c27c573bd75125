/** Runs a single plugin (CNI specification, sections 2 and 4). */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { PROGRAM_PATH } from '../run-program.js';
import { CNIError, PluginMissingError } from './errors.js';

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

export interface Invocation {
  command: Command;
  containerId?: string;
  netns?: string;
  ifname?: string;
  /** For CNI_ARGS. */
  args?: Readonly<Record<string, string>>;
}

const TIMEOUT = 120_000;

/** Throws PluginMissingError. */
export async function findPlugin(type: string, directories: readonly string[]): Promise<string> {
  if (type.includes('/')) throw new CNIError(7, `${JSON.stringify(type)} is no name of a plugin`);
  for (const directory of directories) {
    const path = join(directory, type);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new PluginMissingError(type, directories);
}

/** Resolves with what the plugin answers, undefined where that is nothing. Throws CNIError. */
export async function invoke(
  type: string,
  directories: readonly string[],
  invocation: Invocation,
  config: unknown,
): Promise<unknown> {
  const path = await findPlugin(type, directories);
  const { command, containerId = '', netns = '', ifname = '', args = {} } = invocation;
  const words = Object.entries(args).map(([key, value]) => `${key}=${value}`);
  const result = await execa(path, [], {
    input: JSON.stringify(config),
    reject: false,
    timeout: TIMEOUT,
    env: {
      PATH: PROGRAM_PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_ARGS: words.join(';'),
      CNI_PATH: directories.join(':'),
    },
  });
  const answer = parse(result.stdout);
  if (result.exitCode === 0) {
    if (answer === NOT_JSON && result.stdout.trim() !== '') {
      throw new CNIError(6, `it answers with what is no JSON: ${result.stdout.slice(0, 100)}`, type);
    }
    return answer === NOT_JSON ? undefined : answer;
  }
  if (answer !== NOT_JSON && typeof answer === 'object' && answer !== null && 'msg' in answer) {
    const { code, msg, details } = answer as Record<string, unknown>;
    throw new CNIError(typeof code === 'number' ? code : 999, String(msg), type, typeof details === 'string' ? details : '');
  }
  const said = result.stderr.trim().split('\n').at(-1) || result.shortMessage?.split('\n')[0] || 'it failed';
  throw new CNIError(999, said, type);
}

const NOT_JSON = Symbol('not JSON');

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return NOT_JSON;
  }
}
