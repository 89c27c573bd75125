/** `version` and `info`, with docker's fields. */
import { arch, cpus, hostname, totalmem } from 'node:os';
import { Command } from 'commander';
import { StackClient } from '../../../parent/client/stack-client.js';
import { findProgram } from '../../../parent/programs/find-program.js';
import { LOG_DRIVER } from '../../../protocol/containers/log-options.js';
import { type ContainerReport, OCI_RUNTIMES } from '../../../protocol/containers/types.js';
import { VERSION } from '../../../protocol/version.js';
import { printLine } from '../../common/print.js';
import type { NetDeps } from '../deps.js';
import { type Format, inspectFormatOption, printInspectedOne } from '../docker/format.js';
import { type Struct, withHidden } from '../template/index.js';

/** Go's names of Node's architectures, where they differ. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
/** The kernel's names. */
const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686' };

export function makeVersionCommand({ stack }: NetDeps): Command {
  return new Command('version')
    .description('show the versions of the command and of the stack')
    .addOption(inspectFormatOption())
    .action(async ({ format }: { format?: Format }) => {
      const socket = await stack.runningSocket();
      const view = {
        Client: { ...platform(), Version: VERSION },
        Server: socket === undefined ? null : await server(socket),
      };
      if (format) return printInspectedOne(format, view);
      printLine(`Client: version ${VERSION}`);
      printLine(view.Server ? `Server: version ${String(view.Server.Version)}` : 'Server: not running');
    });
}

export function makeInfoCommand({ stack }: NetDeps): Command {
  return new Command('info')
    .description('show the stack and the number of its containers')
    .addOption(inspectFormatOption())
    .action(async ({ format }: { format?: Format }) => {
      const view = await info(await stack.runningSocket(), await (await stack.connectForReading()).list());
      if (format) return printInspectedOne(format, view);
      for (const [name, value] of Object.entries(view)) {
        printLine(`${name}: ${Array.isArray(value) ? value.join(', ') : String(value)}`);
      }
    });
}

function platform(): Struct {
  return { Os: 'linux', Arch: ARCHITECTURES[arch()] ?? arch() };
}

async function server(socket: string): Promise<Struct> {
  const { apiVersion, version } = await new StackClient(socket).info();
  return withHidden({ ...platform(), Version: version, ApiVersion: apiVersion }, { APIVersion: apiVersion });
}

async function info(socket: string | undefined, list: readonly ContainerReport[]): Promise<Struct> {
  const running = list.filter(({ status }) => status === 'running').length;
  return {
    Containers: list.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: list.length - running,
    Images: 0,
    Driver: 'rootfs',
    LoggingDriver: LOG_DRIVER,
    DefaultRuntime: OCI_RUNTIMES.find(findProgram) ?? OCI_RUNTIMES[0],
    ServerVersion: socket === undefined ? '' : ((await server(socket)).Version ?? ''),
    OSType: 'linux',
    Architecture: MACHINES[arch()] ?? arch(),
    NCPU: cpus().length,
    MemTotal: totalmem(),
    Name: hostname(),
    SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootless'],
    ServerErrors: socket === undefined ? ['no stack is running; it is started when needed'] : [],
  };
}
