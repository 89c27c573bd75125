import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../../../protocol/error-text.js';
import { CNIError, ERROR_CODES, PluginMissingError, parseObject, pluginError } from './errors.js';
import type { AttachmentId, Verb } from './types.js';

/** Where plugins are, and how they run. */
export interface PluginHost {
  pluginDirs: readonly string[];
  /** What plugins inherit. */
  env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds after which a plugin is ended. */
  timeout: number;
}

/** One run of a plugin. */
export interface Invocation {
  verb: Verb;
  type: string;
  config: Record<string, unknown>;
  /** None for GC, STATUS and VERSION; `args` as CNI_ARGS has them. */
  attachment?: AttachmentId & { netns: string; args: string };
}

/** Plugins run iptables and the like, and an ordinary user's PATH lacks where these are. */
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
 * Runs a plugin to its end. Resolves with the object that it answers, for the verbs that have an answer: whatever a
 * plugin prints after others is nobody's business.
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

/** How a plugin ended; `end` is undefined when it succeeded. */
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
      // A process group of its own: a plugin has others do its work, and no Ctrl-C is to stop it half-way.
      detached: true,
    });
    child.once('error', reject);
    // An error is on its way then, and there may not even be pipes.
    if (child.pid === undefined) return;
    const { pid } = child;
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // Plugins need not read it: VERSION takes nothing from it.
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(config));
    const timer = setTimeout(() => {
      killGroup(pid);
      // A process that left the group may hold them open for ever.
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

/** What plugins read is exactly what this run is about, also where we were started as a plugin ourselves. */
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
    // It has ended just now.
  }
}

/** The beginning of what should have been JSON. */
function preview(text: string): string {
  return text.trim() === '' ? 'it is empty' : JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
