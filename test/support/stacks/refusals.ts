// Command lines and requests that cannot be, each tried in this process: what its program prints, and its exit code. There
// is a stack to speak to, of the API's own servers with nothing behind them: no container, no network, port 8080 published.
import type { Server } from 'node:http';
import { request as httpRequest } from 'node:http';
import { dirname, join } from 'node:path';
import { EXIT } from '../../../bin/common/failure.js';
import { runRootlessctl } from '../../../bin/ctl/command.js';
import { runRootlessNet } from '../../../bin/net/command.js';
import { rootlessRun } from '../../../bin/run/dialect.js';
import { parseCommandLine } from '../../../bin/run/options/parse.js';
import { reportFailure } from '../../../bin/run/run-program.js';
import { makeServeCommand } from '../../../bin/run/serve.js';
import { doctor } from '../../../bin/stack/doctor.js';
import { ls } from '../../../bin/stack/ls.js';
import { stop } from '../../../bin/stack/stop.js';
import { systemd } from '../../../bin/systemd/command.js';
import { makeServer } from '../../../child/container/api/server.js';
import type { Services } from '../../../child/container/api/services.js';
import { NoSuchContainerError, NoSuchNetworkError } from '../../../child/container/errors.js';
import type { NetworkAdminDeps } from '../../../child/container/network-admin/deps.js';
import { NetworkAdmin } from '../../../child/container/network-admin/network-admin.js';
import { setLinePrefix } from '../../../parent/log/log.js';
import { parsePortSpec } from '../../../protocol/ports/grammar.js';
import { tempDir } from '../temp-dir.js';
import { type FakeStack, startFakeStack } from './fake-stack.js';

export interface Refusal {
  code: number;
  /** Standard error, without the name of the program and "error: ", nor the last line break. */
  text: string;
}

/** The answer to a request. */
export interface Answer {
  status: number;
  body: string;
}

export class Refusals implements AsyncDisposable {
  private constructor(
    private readonly stack: FakeStack,
    private readonly agent: Server,
  ) {}

  static async start(): Promise<Refusals> {
    const socketPath = join(tempDir(), 'agent.sock');
    const agent = makeServer(nothing());
    await new Promise<void>((resolve) => agent.listen(socketPath, resolve));
    const stack = await startFakeStack({ containers: { socketPath, ready: async () => {} } });
    await stack.ports.add(parsePortSpec('127.0.0.1:8080:80'));
    return new Refusals(stack, agent);
  }

  /** Of a whole command line. */
  async of([program = '', ...args]: readonly string[]): Promise<Refusal> {
    if (program === 'rootless-net') return this.#net(args);
    if (program === 'rootlessctl') return this.#ctl(args);
    const [first = '', ...rest] = args;
    const subcommands: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
      doctor,
      ls,
      stop,
      systemd,
      serve: async (words) => parsed(words, true),
    };
    setLinePrefix(rootlessRun.linePrefix);
    const run = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined;
    return captured(() => (run ? run(rest) : parsed(args, false)));
  }

  async #net(args: readonly string[]): Promise<Refusal> {
    const words = ['--state-dir', dirname(this.stack.socketPath), ...args];
    return captured(async () => {
      await runRootlessNet(words);
      return exitCode();
    });
  }

  async #ctl(args: readonly string[]): Promise<Refusal> {
    return captured(async () => {
      await runRootlessctl(['--socket', this.stack.socketPath, ...args]);
      return exitCode();
    });
  }

  /** Of a request to the API. A body that is not text is sent as JSON. */
  request(method: string, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.stack.socketPath, method, path, agent: false };
      const request = httpRequest(options, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString().trim() });
      });
      request.once('error', reject);
      request.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.close();
    await new Promise((resolve) => this.agent.close(resolve));
  }
}

async function parsed(args: readonly string[], isServe: boolean): Promise<number> {
  try {
    const command = isServe ? { needsCommand: false, command: makeServeCommand() } : {};
    parseCommandLine(args, rootlessRun, command);
    return 0;
  } catch (error) {
    return reportFailure(error, rootlessRun, isServe ? EXIT.failed : EXIT.notStarted);
  }
}

/** An agent that has nothing, and takes nothing. */
function nothing(): Services {
  const taken = () => {
    throw new Error('it was taken');
  };
  const find = (name: string): never => {
    throw new NoSuchContainerError(name);
  };
  const ofOne = Object.fromEntries(
    ['start', 'stop', 'kill', 'remove', 'rename', 'connect', 'disconnect'].map((verb) => [
      verb,
      async (name: string) => find(name),
    ]),
  );
  const containers = { ...ofOne, store: { all: () => [], find }, create: taken };
  const networks = {
    find: async (name: string) => {
      throw new NoSuchNetworkError(name);
    },
    list: async () => [],
    create: taken,
  };
  const streams = { execs: { prepare: async (name: string) => find(name) } };
  const networkAdmin = new NetworkAdmin({ containers, networks } as unknown as NetworkAdminDeps);
  return { containers, networks, networkAdmin, streams, warn: () => {} } as unknown as Services;
}

/** Takes what the program has set. */
function exitCode(): number {
  const code = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  return code;
}

/** What a task writes to standard error; what it writes to standard output is not a refusal. */
async function captured(task: () => Promise<number>): Promise<Refusal> {
  const { stderr, stdout } = process;
  const write = { stderr: stderr.write, stdout: stdout.write };
  let text = '';
  stderr.write = (chunk: string | Uint8Array) => {
    text += chunk.toString();
    return true;
  };
  stdout.write = () => true;
  try {
    const code = await task();
    return { code, text: text.replace(/^(rootless-run: )?error: /, '').replace(/\n$/, '') };
  } finally {
    stderr.write = write.stderr;
    stdout.write = write.stdout;
  }
}
