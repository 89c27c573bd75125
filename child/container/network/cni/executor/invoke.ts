import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../../../../../protocol/errors/error-text.js';
import { CNIError, ERROR_CODES, PluginMissingError, pluginError } from './errors.js';
import { parseObject } from './json.js';
import type { AttachmentId, Verb } from './types.js';

/** Where plugins are, and how they run. */
export interface PluginHost {
  pluginDirs: readonly string[];
  /** The environment that plugins inherit. */
  env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds after which a plugin is killed. */
  timeout: number;
}

/** One run of a plugin. */
export interface Invocation {
  verb: Verb;
  type: string;
  config: Record<string, unknown>;
  /** None for GC, STATUS and VERSION; `args` in the form of CNI_ARGS. */
  attachment?: AttachmentId & { netns: string; args: string };
}

/** Plugins run programs such as iptables, whose directories an ordinary user's PATH may lack. */
const SYSTEM_DIRS = '/usr/sbin:/sbin';

/**
 * Full path of a plugin.
 *
 * @throws CNIError
 */
export async function findPlugin(type: string, pluginDirs: readonly string[]): Promise<string> {
  if (type === '' || type.includes('/') || type.includes('\0')) {
    throw new CNIError(ERROR_CODES.badConfig, `${JSON.stringify(type)} is not the name of a plugin`);
  }
  for (const dir of pluginDirs) {
    const path = join(dir, type);
    if (await isProgram(path)) return path;
  }
  throw new PluginMissingError(type, pluginDirs);
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs a plugin until it exits. Resolves with the object on its standard output, for ADD and VERSION; the output of other
 * verbs is ignored.
 *
 * @throws CNIError
 */
export async function invokePlugin(host: PluginHost, invocation: Invocation): Promise<Record<string, unknown>> {
  const { type: plugin, verb } = invocation;
  const path = await findPlugin(plugin, host.pluginDirs);
  const { stdout, stderr, end } = await run(path, host, invocation).catch((error: unknown) => {
    if (error instanceof CNIError) throw error;
    throw new CNIError(ERROR_CODES.io, `cannot be run: ${errorText(error)}`, { plugin });
  });
  if (end !== undefined) throw pluginError(plugin, verb, { stdout, stderr, end });
  if (verb !== 'ADD' && verb !== 'VERSION') return {};
  const answer = parseObject(stdout);
  if (answer) return answer;
  throw new CNIError(ERROR_CODES.decode, `its answer to ${verb} is not a JSON object: ${preview(stdout)}`, { plugin });
}

/** The output of a plugin; `end` is undefined when it succeeded. */
interface Finished {
  stdout: string;
  stderr: string;
  end: string | undefined;
}

function run(path: string, host: PluginHost, { verb, type: plugin, config, attachment }: Invocation) {
  return new Promise<Finished>((resolve, reject) => {
    const child = spawn(path, [], {
      env: environment(host, verb, attachment),
      stdio: ['pipe', 'pipe', 'pipe'],
      // A process group of its own: a plugin starts further programs, and Ctrl-C must not interrupt it.
      detached: true,
    });
    child.once('error', reject);
    // The error event follows; there may be no pipes.
    if (child.pid === undefined) return;
    const { pid } = child;
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // Plugins may not read it, for instance at VERSION.
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(config));
    const timer = setTimeout(() => {
      killGroup(pid);
      // A process outside of the group may keep them open forever.
      child.stdout.destroy();
      child.stderr.destroy();
      const text = `${verb} did not end within ${host.timeout / 1000} s`;
      reject(new CNIError(ERROR_CODES.internal, text, { plugin }));
    }, host.timeout);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const end = signal !== null ? `ended by ${signal}` : code === 0 ? undefined : `exit code ${code}`;
      resolve({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), end });
    });
  });
}

/** The variables of this run only, even if this process was started as a plugin itself. */
function environment(host: PluginHost, verb: Verb, attachment: Invocation['attachment']): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(host.env)) {
    if (value !== undefined && !name.startsWith('CNI_')) env[name] = value;
  }
  env.PATH = env.PATH ? `${env.PATH}:${SYSTEM_DIRS}` : `/usr/bin:/bin:${SYSTEM_DIRS}`;
  env.CNI_COMMAND = verb;
  env.CNI_PATH = host.pluginDirs.join(':');
  if (attachment) {
    env.CNI_CONTAINERID = attachment.containerId;
    env.CNI_NETNS = attachment.netns;
    env.CNI_IFNAME = attachment.ifname;
    env.CNI_ARGS = attachment.args;
  }
  return env;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just exited.
  }
}

/** The beginning of what should have been JSON. */
function preview(text: string): string {
  return text.trim() === '' ? 'it is empty' : JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
