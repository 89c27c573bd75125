// Stacks with containers on several hosts, for tests of overlay networks.
import assert from 'node:assert/strict';
import type { OverlayReport } from '../../../protocol/overlay/reports.js';
import { binPath } from '../paths.js';
import { type RunResult, run } from '../run.js';
import { busyboxRootfs, type ContainerStack, HOST_PROGRAMS, startContainerStack } from '../stacks/containers.js';
import { startHosts, type TestHost, type TestHosts } from './hosts.js';

export interface OverlayHost {
  readonly host: TestHost;
  readonly stack: ContainerStack;
  /** Runs rootless-net as a user of that host, to its end: the API refuses changes from elsewhere. */
  net(...args: string[]): Promise<RunResult>;
  /** As net(), which has to succeed; resolves with its standard output, trimmed. */
  must(...args: string[]): Promise<string>;
  /** Runs a container with the host's programs on that network, detached. */
  start(network: string, name: string, command: readonly string[], ...options: string[]): Promise<string>;
  status(network: string): Promise<OverlayReport>;
}

export interface OverlayHosts extends AsyncDisposable {
  readonly network: TestHosts;
  readonly hosts: readonly OverlayHost[];
}

export interface OverlayHostOptions {
  /** Files of an earlier stack. */
  home?: string;
  /** Further options of rootless-run. */
  args?: readonly string[];
}

/** A stack on that host; there may be several, as of several users. */
export async function startOverlayHost(
  host: TestHost,
  { home, args = [] }: OverlayHostOptions = {},
): Promise<OverlayHost> {
  const { wrapper } = host;
  const stack = await startContainerStack({
    args: ['--net=builtin', ...args],
    wrapper,
    ...(home === undefined ? {} : { home }),
  });
  const [program = '', ...words] = wrapper;
  const net = (...args: string[]) => run(program, [...words, binPath('rootless-net'), ...args], { env: stack.env });
  const output = async (...args: string[]) => {
    const { code, stdout, stderr } = await net(...args);
    assert.equal(code, 0, `${args.join(' ').slice(0, 200)}: ${stderr}`);
    return stdout.trim();
  };
  return {
    ...{ host, stack, net, must: output },
    start: (network, name, command, ...options) =>
      output(
        ...['run', '-d', '--net', network, '--name', name, ...options],
        ...HOST_PROGRAMS.flatMap((mount) => ['-v', mount]),
        ...['--rootfs', busyboxRootfs(), '--', ...command],
      ),
    async status(network) {
      const [report] = JSON.parse(await output('overlay', 'status', '--json', network)) as OverlayReport[];
      return report ?? assert.fail(`no report of ${network}`);
    },
  };
}

/** Hosts, each with a stack with these options. */
export async function startOverlayHosts(...options: readonly OverlayHostOptions[]): Promise<OverlayHosts> {
  const network = await startHosts(options.length);
  const hosts = await Promise.all(network.hosts.map((host, index) => startOverlayHost(host, options[index])));
  return {
    network,
    hosts,
    async [Symbol.asyncDispose]() {
      for (const { stack } of hosts) await stack[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
    },
  };
}
