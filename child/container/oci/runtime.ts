/** Runs containers with an OCI runtime such as runc or crun, by its command line (runtime-spec, runtime.md). */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { CONTAINER_MONITOR } from '../../../native/index.js';
import type { LogOptions } from '../../../protocol/containers/log-options.js';
import { shortId } from '../../../protocol/containers/short-id.js';
import { OCI_RUNTIMES, type TerminalSize } from '../../../protocol/containers/types.js';
import { type ContainerError, ProgramError } from '../errors.js';
import { PROGRAM_PATH } from '../run-program.js';
import { commandFailure } from './failures/command-failure.js';
import { setupFailure, withoutPrefix } from './failures/setup-failure.js';

/** The variables that OCI runtimes get of this process's environment, and with them all that they start. */
const PASSED_ON = ['HOME', 'LANG', 'TMPDIR', 'XDG_RUNTIME_DIR'];

/** How long a command of a runtime may take, hooks included, in ms. */
const TIMEOUT = 120_000;
/** Characters of its output that are read at least, where there are more. */
const MAX_OUTPUT = 64 * 1024;

/** The runtime failed, or is not installed. */
export class OCIRuntimeError extends ProgramError {
  override name = 'OCIRuntimeError';
}

export interface CreateOptions {
  id: string;
  /** Its names in messages. */
  container: NamedCommand;
  /** The monitor's working directory, where its sockets are; see process/monitor-input.ts. */
  bundle: string;
  pidFile: string;
  /** Appears when the container has ended, and its log is complete. */
  exitFile: string;
  /** The newest file of its log. */
  log: string;
  logOptions: LogOptions;
  /** Whether its standard input is open; that of a terminal always is. */
  stdin: boolean;
  /**
   * Whether it gets a session keyring of its own (session-keyring(7)), of which an ordinary user can have 200
   * (kernel.keys.maxkeys). Otherwise it has the stack's, which the default seccomp profile keeps its programs from.
   */
  keyring: boolean;
  /** The size of its terminal, where it has one. */
  terminal: TerminalSize | undefined;
  /** Records the container's process and its monitor; until it resolves, the monitor ends the container if this process ends. */
  record: (pid: number, monitor: number) => Promise<void>;
}

/** A command in a container, for messages. */
export interface NamedCommand {
  /** Name of the container. */
  name: string;
  /** First word of the command. */
  program: string;
}

/** Socket on which the monitor takes a container's input, in the monitor's directory. */
export const INPUT_SOCKET = 'input.sock';
/** Socket to which the runtime sends a container's terminal, in the monitor's directory. */
const CONSOLE_SOCKET = 'console.sock';

/**
 * crun refuses to work where the host has cgroups of both versions at once, but works where it sees a cgroup2 of its own. Its
 * processes are in the host's cgroups as before.
 */
const WITH_OWN_CGROUP2 = [
  'unshare',
  '--cgroup',
  '--mount',
  'sh',
  '-c',
  'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"',
] as const;

/** Those whose options beyond the common command line are known. */
const KNOWN_RUNTIMES: readonly string[] = OCI_RUNTIMES;

/** The runtime of a request that names none: the first one that is installed, or the usual one, for its error. */
export function defaultRuntime(path = PROGRAM_PATH): string {
  const directories = path.split(delimiter).filter((directory) => directory !== '');
  const isInstalled = (name: string) => directories.some((directory) => existsSync(join(directory, name)));
  return OCI_RUNTIMES.find(isInstalled) ?? OCI_RUNTIMES[0];
}

export class OCIRuntime {
  readonly #prefix: readonly string[];

  /**
   * @param program name or path
   * @param root directory of the runtime's state
   */
  constructor(
    readonly program: string,
    private readonly root: string,
  ) {
    this.#prefix =
      basename(program) === 'crun' && !existsSync('/sys/fs/cgroup/cgroup.controllers') ? WITH_OWN_CGROUP2 : [];
  }

  /**
   * Creates the container, whose process waits for start(), and has it recorded. Resolves with the runtime's output, which
   * may be warnings. Throws OCIRuntimeError, ContainerCommandError, and what `record` throws; the monitor ends the container
   * then.
   */
  async create(options: CreateOptions): Promise<string> {
    const { id, bundle, pidFile, exitFile, log, logOptions, stdin, terminal, keyring } = options;
    const ofMonitor = [
      `--log=${log}`,
      `--log-max-size=${logOptions.maxSize}`,
      `--log-max-file=${logOptions.maxFiles}`,
      `--input=${INPUT_SOCKET}`,
      ...(stdin ? ['--stdin'] : []),
      ...(terminal ? [`--terminal=${CONSOLE_SOCKET}`, `--size=${terminal.columns}x${terminal.rows}`] : []),
    ];
    const console = terminal ? ['--console-socket', CONSOLE_SOCKET] : [];
    const shared = !keyring && KNOWN_RUNTIMES.includes(basename(this.program)) ? ['--no-new-keyring'] : [];
    const ofContainer = ['--bundle', bundle, '--pid-file', pidFile, ...console, ...shared, id];
    const words = [...this.#global(), 'create', ...ofContainer];
    const monitor = spawn(CONTAINER_MONITOR, [...ofMonitor, exitFile, pidFile, ...words], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: runtimeEnvironment(),
      cwd: bundle,
      detached: true,
    });
    monitor.unref();
    const failed = new Promise<string>((resolve) =>
      monitor.once('error', (error) => resolve(`failed 126 0\n${error.message}`)),
    );
    // Without free descriptors (EMFILE) stdio is undefined, despite its type.
    const socket = (monitor.stdio as typeof monitor.stdio | undefined)?.[3] as Duplex | undefined;
    // EPIPE, where the monitor has ended before it reads.
    socket?.on('error', () => {});
    const report = await (socket ? Promise.race([failed, readReport(socket)]) : failed);
    const [, word, number = '', output = ''] = REPORT.exec(report) ?? [];
    if (word === 'created') {
      try {
        await options.record(Number(number), monitor.pid ?? 0);
        socket?.write('k');
      } finally {
        socket?.end();
      }
      return output;
    }
    const silent = number === '' ? 'its monitor was lost' : `exit code ${number}, without output`;
    throw this.failure('create', output || silent, options.container);
  }

  /** Has the container's process execute its program. Throws OCIRuntimeError and ContainerCommandError. */
  async start(id: string, container: NamedCommand): Promise<void> {
    await this.#run('start', container, id);
  }

  /** Removes the runtime's state of the container, and kills its processes. The container need not exist. */
  async delete(id: string): Promise<void> {
    await this.#run('delete', { name: shortId(id), program: '' }, '--force', id).catch((error: unknown) => {
      // Debian's crun fails for an unknown container, runc does not.
      if (!(error instanceof OCIRuntimeError)) throw error;
    });
  }

  /**
   * The command line that runs one more program in a running container.
   *
   * @param processFile its description, see exec/exec-process.ts
   * @param options additional options of the command
   */
  execCommand(id: string, processFile: string, options: readonly string[]): string[] {
    return [...this.#global(), 'exec', '--process', processFile, ...options, id];
  }

  /** The beginning of each command line. */
  #global(): string[] {
    return [...this.#prefix, this.program, '--root', this.root];
  }

  async #run(command: string, container: NamedCommand, ...args: string[]): Promise<void> {
    const [program = '', ...words] = this.#global();
    const { code, output } = await execute(program, [...words, command, ...args]);
    if (code !== 0) throw this.failure(command, output, container);
  }

  /** The error for a command of the runtime that failed with that output. */
  failure(command: string, output: string, { name, program }: NamedCommand): ContainerError {
    if (/^cannot execute .*: No such file/m.test(output) || /ENOENT/.test(output)) {
      return new OCIRuntimeError(`the OCI runtime ${this.program} is not installed`, {
        hint: KNOWN_RUNTIMES.includes(this.program)
          ? `install it (Debian: apt-get install ${this.program}), or choose another one with --runtime`
          : 'name one that is installed, such as --runtime runc or --runtime crun',
      });
    }
    const refused = /^cannot execute (?!.*: No such file).*: (.*)/m.exec(output)?.[1];
    if (refused !== undefined) {
      return new OCIRuntimeError(
        `cannot execute the OCI runtime ${this.program} (--runtime): ${refused.toLowerCase()}`,
      );
    }
    const text = withoutPrefix(errorLine(output));
    return (
      setupFailure(text) ??
      commandFailure(text, program) ??
      new OCIRuntimeError(`${basename(this.program)} ${command} ${name} failed: ${text}`)
    );
  }
}

/** The most informative line of a runtime's output, without the decorations of logs and terminals. */
function errorLine(output: string): string {
  const lines = stripVTControlCharacters(output)
    .split(/\r?\n/)
    .map((line) => line.replace(/^(\d{4}-\d\d-\d\dT[\d:.]+Z: |[A-Z]{4}\[\d+\] )/, '').trim())
    .filter((line) => line !== '');
  const errors = lines.filter((line) => /level=error|error|failed|cannot|not supported|executable/i.test(line));
  const words = errors.at(-1) ?? lines.at(-1) ?? 'it failed';
  return words
    .replace(/^time=\S+ level=\S+ msg=/, '')
    .replaceAll(/^"|"$/g, '')
    .replaceAll('\\"', '"');
}

/** A monitor's report, see container_monitor.c. */
const REPORT = /^(\w+) (\d+) (?:\d+)\n(.*)$/s;

/** A monitor's report, incomplete where the monitor ends before. */
function readReport(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    let report = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      report = Buffer.concat([report, chunk]);
      const head = report.subarray(0, report.indexOf('\n') + 1);
      const [, length] = / (\d+)\n$/.exec(head.toString()) ?? [];
      if (length !== undefined && report.length >= head.length + Number(length)) resolve(report.toString());
    });
    stream.once('close', () => resolve(report.toString()));
  });
}

/** Runs a runtime's command. Never rejects; the output is that to standard error, or why there is none. */
function execute(program: string, words: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const options = { env: runtimeEnvironment(), timeout: TIMEOUT };
    const child = spawn(program, words, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    // Without free descriptors (EMFILE) there is none, despite its type.
    (child.stderr as Readable | null | undefined)?.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < MAX_OUTPUT) output += text;
    });
    child.once('error', (error) => resolve({ code: null, output: error.message }));
    child.once('close', (code, signal) => {
      const ended = signal === null ? `exit code ${code}` : signal;
      resolve({ code, output: output || `it ended with ${ended}, without output` });
    });
  });
}

/** The environment of OCI runtimes. */
export function runtimeEnvironment(): Record<string, string> {
  const passed = PASSED_ON.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(passed), PATH: PROGRAM_PATH };
}
