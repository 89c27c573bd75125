/**
 * Runs further programs in running containers. A client requests one first, which is kept under an id (exec-tickets.ts);
 * the stream that names the id starts the program, and carries its standard streams.
 */
import type { ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type ContainerReport, type ExecRequest, STREAM } from '../../../protocol/containers/types.js';
import { ConflictError } from '../errors.js';
import { checkArguments } from '../oci/argument-limits.js';
import type { Spec } from '../oci/bundle.js';
import { executionFailure } from '../oci/failures/command-failure.js';
import { stringifySpec } from '../oci/options.js';
import { checkProgram } from '../oci/program-check.js';
import type { NamedCommand, OCIRuntime } from '../oci/runtime.js';
import { readText, write } from '../storage/atomic-files.js';
import type { ContainerRecord, ContainerStore } from '../storage/container-store.js';
import type { ExecClient, InputSink } from './exec-client.js';
import { ExecLimit } from './exec-limit.js';
import { startWithPipes } from './exec-pipes.js';
import { execProcess } from './exec-process.js';
import { ExecTickets } from './exec-tickets.js';
import { signalsTo } from './program-signals.js';
import { Terminal } from './terminal.js';

/** Interval for polling the file with the program's pid, in ms. */
const POLL_INTERVAL = 2;

/** The containers that programs are run in; the container manager is one. */
export interface ExecContainers {
  readonly store: Pick<ContainerStore, 'find'>;
  report(record: ContainerRecord): Promise<Pick<ContainerReport, 'status' | 'pid'>>;
  /** Throws ConflictError if the container does not run. */
  specOf(record: ContainerRecord): Promise<Spec>;
  runtimeOf(record: ContainerRecord): OCIRuntime;
  execFiles(id: string): { processFile: string; pidFile: string };
}

export class ExecRunner {
  readonly #tickets = new ExecTickets();

  constructor(private readonly containers: ExecContainers) {}

  /** Returns the id by which a stream runs it. Throws ContainerError. */
  async prepare(name: string, request: ExecRequest): Promise<string> {
    const record = this.containers.store.find(name);
    const pid = await this.#runningPid(record);
    const own = execProcess(await this.containers.specOf(record), request);
    checkArguments(own);
    checkProgram(`/proc/${pid}/root`, own, { strict: request.detach });
    return this.#tickets.issue(record.id, request);
  }

  /** The request of that id, once. Throws ContainerError. */
  take(record: ContainerRecord, id: string): ExecRequest {
    return this.#tickets.take(record.id, id);
  }

  /** Runs it to its end. Throws ContainerError if it cannot be started. */
  async run(client: ExecClient, record: ContainerRecord, request: ExecRequest): Promise<void> {
    const pid = await this.#runningPid(record);
    const own = execProcess(await this.containers.specOf(record), request);
    const runtime = this.containers.runtimeOf(record);
    using limit = ExecLimit.for(runtime.program, own, pid);
    const files = this.containers.execFiles(record.id);
    const { processFile, pidFile } = files;
    const start: Start = { client, record, request, pid, runtime, limit, files };
    let code: number;
    try {
      write(processFile, stringifySpec(limit?.wrap(own) ?? own));
      code = await (request.tty ? this.#inTerminal(start) : this.#withPipes(start));
    } finally {
      await Promise.all([processFile, pidFile].map((file) => rm(file, { force: true })));
    }
    const failure = limit?.failure();
    if (request.detach) return;
    if (failure !== undefined) throw executionFailure(failure, request.command[0] ?? '');
    client.end({ type: 'exit', code });
  }

  /** The pid of its process. Throws ConflictError if the container does not run. */
  async #runningPid(record: ContainerRecord): Promise<number> {
    const { status, pid } = await this.containers.report(record);
    if (status !== 'running' || pid === undefined) {
      throw new ConflictError(`the container ${record.name} is not running; start it first`);
    }
    return pid;
  }

  /** Resolves with its exit code. Throws what the runtime failed with. */
  async #inTerminal({ client, record, request, runtime, limit, files }: Start): Promise<number> {
    const { processFile, pidFile } = files;
    const options = ['--pid-file', pidFile, ...(limit?.options ?? [])];
    const words = runtime.execCommand(record.id, processFile, options);
    const terminal = Terminal.open(words, request.size, limit?.descriptors);
    if (!request.detach) void client.closed.then(() => terminal.end());
    const failure = (output: string) => runtime.failure('exec', output, namedCommand(record, request));
    const program = await terminal.pidOf(pidFile, failure);
    client.pass(terminalInputSink(terminal, signalsTo(program)));
    reportStart(client, request);
    const output = request.detach ? finished(terminal.output.resume()) : client.passOn(STREAM.stdout, terminal.output);
    const [code] = await Promise.all([terminal.ended, output]);
    return code;
  }

  /** Resolves with its exit code. Throws what the runtime failed with. */
  async #withPipes({ client, record, request, pid, runtime, limit, files }: Start): Promise<number> {
    const { processFile, pidFile } = files;
    const options = ['--pid-file', pidFile, ...(limit?.options ?? [])];
    const words = runtime.execCommand(record.id, processFile, options);
    const descriptors = limit?.descriptors ?? [];
    const { child, stdin, stdout, stderr } = startWithPipes(words, { openStdin: request.stdin, pid, descriptors });
    const ended = exitCodeOf(child);
    // Before there is a program, the runtime is to start none.
    let signal: (number: number) => void = (number) => child.kill(number);
    if (!request.detach) void client.closed.then(() => signal(constants.signals.SIGTERM));
    client.pass({
      write: (data) => writeTo(stdin, data),
      end: () => stdin?.end(),
      resize: () => {},
      signal: (number) => signal(number),
    });
    const passOn = (stream: number, from: Readable) =>
      request.detach ? finished(from.resume()).catch(() => {}) : client.passOn(stream, from);
    const output = passOn(STREAM.stdout, stdout);
    // Until it has started, the runtime writes there.
    const program = await startedProgram(pidFile, ended);
    if (program === undefined) {
      throw runtime.failure('exec', (await text(stderr)) || 'without output', namedCommand(record, request));
    }
    signal = signalsTo(program);
    reportStart(client, request);
    const [code] = await Promise.all([ended, output, passOn(STREAM.stderr, stderr)]);
    return code;
  }
}

interface Start {
  client: ExecClient;
  record: ContainerRecord;
  request: ExecRequest;
  /** Pid of a process in the container. */
  pid: number;
  runtime: OCIRuntime;
  limit: ExecLimit | undefined;
  files: { processFile: string; pidFile: string };
}

/** Reports the start; the client of a detached program gets nothing more. */
function reportStart(client: ExecClient, { detach }: ExecRequest): void {
  client.control({ type: 'started' });
  if (detach) client.end({ type: 'exit', code: 0 });
}

function namedCommand({ name }: ContainerRecord, { command: [program = ''] }: ExecRequest): NamedCommand {
  return { name, program };
}

/** Resolves with the program's pid; undefined where the runtime ends before it has written that. */
async function startedProgram(pidFile: string, ended: Promise<unknown>): Promise<number | undefined> {
  let over = false;
  const end = () => {
    over = true;
  };
  ended.then(end, end);
  for (;;) {
    const last = over;
    const pid = Number((await readText(pidFile)) ?? 0);
    if (pid > 0) return pid;
    if (last) return undefined;
    await delay(POLL_INTERVAL);
  }
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal ? 128 : 1)));
  });
}

/** Returns a promise when the caller must wait before it writes more. */
function writeTo(stream: Writable | null | undefined, data: Buffer): Promise<void> | undefined {
  if (!stream || stream.destroyed || stream.write(data)) return undefined;
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}

function terminalInputSink(terminal: Terminal, signal: (number: number) => void): InputSink {
  return {
    write: (data) => terminal.write(data),
    // Ctrl-D: the end of file of a terminal.
    end: () => void terminal.write(Buffer.from('\x04')),
    resize: (columns, rows) => terminal.resize(columns, rows),
    signal,
  };
}
