/**
 * Runs containers with an OCI runtime such as runc or crun, by its command line (runtime-spec, runtime.md).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { CONTAINER_MONITOR } from '../../native/index.js';
import { ProgramError } from './errors.js';
import { PROGRAM_PATH } from './run-program.js';

/** The runtime refused, or is not there. */
export class OCIRuntimeError extends ProgramError {
  override name = 'OCIRuntimeError';
}

/** Where the container's standard streams lead; a pipe is the agent's to write. */
export interface CreateOptions {
  id: string;
  bundle: string;
  pidFile: string;
  /** Appears when the container ends. */
  exitFile: string;
  stdin: 'pipe' | 'ignore';
  stdout: string;
  stderr: string;
}

/**
 * crun refuses to work where the host has cgroups of both versions at once, but does where it sees a cgroup2 of its own.
 * Processes that it makes there are in the host's cgroups as before.
 */
const WITH_OWN_CGROUP2 = [
  'unshare',
  '--cgroup',
  '--mount',
  'sh',
  '-c',
  'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"',
] as const;

export class OCIRuntime {
  readonly #prefix: readonly string[];

  /**
   * @param program name or path
   * @param root directory of the runtime's own state
   */
  constructor(
    readonly program: string,
    private readonly root: string,
  ) {
    this.#prefix =
      basename(program) === 'crun' && !existsSync('/sys/fs/cgroup/cgroup.controllers') ? WITH_OWN_CGROUP2 : [];
  }

  /** Makes the container, which waits to be started. Resolves with its process id. Throws OCIRuntimeError. */
  async create(options: CreateOptions): Promise<{ pid: number; monitor: ChildProcess }> {
    const { id, bundle, pidFile, exitFile, stdin, stdout, stderr } = options;
    const files = [openSync(stdout, 'a', 0o600), openSync(stderr, 'a', 0o600)] as const;
    const words = [...this.#global(), 'create', '--bundle', bundle, '--pid-file', pidFile, id];
    const offset = sizeOf(stderr);
    const monitor = spawn(CONTAINER_MONITOR, [exitFile, pidFile, ...words], {
      stdio: [stdin, files[0], files[1], 'pipe'],
      env: { ...process.env, PATH: PROGRAM_PATH },
      detached: true,
    });
    for (const file of files) closeSync(file);
    const failed = new Promise<string>((resolve) =>
      monitor.once('error', (error) => resolve(`failed ${error.message}`)),
    );
    const report = monitor.stdio[3];
    const said = await Promise.race([failed, readAll(report as NodeJS.ReadableStream)]);
    const [word, number = ''] = said.trim().split(' ');
    if (word === 'created') return { pid: Number(number), monitor };
    const words2 = (await readFile(stderr).catch(() => Buffer.alloc(0))).subarray(offset).toString();
    const silent = /^failed \d+$/.test(said.trim()) ? `exit code ${number}, and it said nothing` : said;
    throw this.failure('create', id, words2 || silent);
  }

  /** The command line that runs a container in a terminal to its end. */
  runCommand(id: string, bundle: string, pidFile: string): string[] {
    return [...this.#global(), 'run', '--bundle', bundle, '--pid-file', pidFile, id];
  }

  /** Lets the container's process begin. Throws OCIRuntimeError. */
  async start(id: string): Promise<void> {
    await this.#run('start', id);
  }

  /** Removes what the runtime knows of the container, and kills what is left of it. Nothing is there afterwards. */
  async delete(id: string): Promise<void> {
    await this.#run('delete', '--force', id).catch((error: unknown) => {
      // Debian's crun fails here where it knows nothing of the container, runc does not.
      if (!(error instanceof OCIRuntimeError)) throw error;
    });
  }

  /** The command line that runs one more program in a running container. */
  execCommand(
    id: string,
    options: { tty: boolean; env: readonly string[]; cwd?: string | undefined; user?: string | undefined },
    command: readonly string[],
    pidFile?: string,
  ): string[] {
    const { tty, env, cwd, user } = options;
    return [
      ...this.#global(),
      'exec',
      ...(tty ? ['--tty'] : []),
      ...(pidFile === undefined ? [] : ['--pid-file', pidFile]),
      ...env.flatMap((text) => ['--env', text]),
      ...(cwd === undefined ? [] : ['--cwd', cwd]),
      ...(user === undefined ? [] : ['--user', user]),
      id,
      ...command,
    ];
  }

  /** How each command line begins. */
  #global(): string[] {
    return [...this.#prefix, this.program, '--root', this.root];
  }

  async #run(command: string, ...args: string[]): Promise<void> {
    const [program = '', ...words] = this.#global();
    const result = await execa(program, [...words, command, ...args], {
      reject: false,
      env: { PATH: PROGRAM_PATH },
      stdin: 'ignore',
      timeout: 120_000,
    });
    if (result.exitCode !== 0)
      throw this.failure(command, args.at(-1) ?? '', result.stderr || String(result.shortMessage));
  }

  /** What a command that failed had to say. */
  failure(command: string, id: string, said: string): OCIRuntimeError {
    if (/^cannot execute .*: No such file/m.test(said) || /ENOENT/.test(said)) {
      return new OCIRuntimeError(
        `the OCI runtime ${this.program} is not installed; install it (Debian: apt-get install ${basename(this.program)}), or choose another one with --runtime`,
      );
    }
    return new OCIRuntimeError(`${basename(this.program)} ${command} ${id.slice(0, 12)} failed: ${whatFailed(said)}`);
  }
}

/** The line that tells most of what a runtime said, without the decorations of logs and terminals. */
function whatFailed(said: string): string {
  const lines = stripVTControlCharacters(said)
    .split(/\r?\n/)
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z: /, '').trim())
    .filter((line) => line !== '');
  const errors = lines.filter((line) => /level=error|error|failed|cannot|not supported|executable/i.test(line));
  const words = errors.at(-1) ?? lines.at(-1) ?? 'it failed';
  return words
    .replace(/^time=\S+ level=\S+ msg=/, '')
    .replaceAll(/^"|"$/g, '')
    .replaceAll('\\"', '"');
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk.toString();
  return text;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** When a process began, in clock ticks since the machine's start, which tells it from a later one of its id; "" for none. */
export async function startTimeOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name stands in brackets and may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}
