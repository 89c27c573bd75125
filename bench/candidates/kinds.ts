// The kinds of candidates: the command lines by which each publishes a port of a server.
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { resolverAddress } from '../environment/resolver.js';
import type { Candidate, Outbound, Task } from './candidate.js';

/**
 * Runs a server as root of its own namespace: sets the congestion control there (a new namespace has the machine's default,
 * which may be one that paces) and prints the one in effect.
 */
function inChild({ server, port, congestion }: Task): string[] {
  const file = '/proc/sys/net/ipv4/tcp_congestion_control';
  const set = congestion === undefined ? '' : `echo ${congestion} >${file} 2>/dev/null; `;
  const script = `${set}echo "congestion control: $(cat ${file})"; exec "$@"`;
  return ['sh', '-c', script, 'sh', ...server(port)];
}

/** Runs a forwarder and a server on another port in the same namespace. */
function besideServer({ server, port }: Task, forwarder: (inside: number) => string): string[] {
  const inside = port + 10_000;
  return ['sh', '-c', `"$@" & exec ${forwarder(inside)}`, 'sh', ...server(inside)];
}

/** Options of rootless-run and rootlesskit. */
function publishOptions({ address, port, morePorts, protocol }: Task): string[] {
  return [port, ...morePorts].flatMap((each) => ['-p', `${address}:${each}:${each}/${protocol}`]);
}

const stateOption = ({ directory }: Task) => `--state-dir=${join(directory, 'state')}`;
const apiSocket = (directory: string) => join(directory, 'state', 'api.sock');
const withNetwork = ['--net=slirp4netns', '--port-driver=builtin', '--copy-up=/etc'];

const ownFile = 'dist/bin/rootless-run';

/** Where slirp4netns has its DNS server; the other drivers of ours have it there, too. */
const networkDNS = '10.0.2.3';

/** This package with one of its network drivers, so that drivers alone are compared. */
function outboundBy(driver: string, programs: readonly string[] = [], more: readonly string[] = []): Outbound {
  return {
    description: `this package, --net=${driver}`,
    programs,
    dns: networkDNS,
    command: (task) => [
      ...[join(task.root, ownFile), `--net=${driver}`, '--disable-host-loopback', ...more, stateOption(task), '--'],
      ...inChild(task),
    ],
  };
}

/** The reference: nothing between client and server. */
export const direct: Candidate = {
  description: 'client and server on loopback, nothing between them',
  programs: [],
  command: ({ server, port }) => server(port),
  outbound: {
    description: 'client on the host',
    programs: [],
    dns: resolverAddress,
    command: ({ server, port }) => server(port),
  },
};

/** This package with one of its port drivers. */
function own(portDriver: string, ...more: readonly string[]): Pick<Candidate, 'programs' | 'file' | 'command'> {
  return {
    programs: [],
    file: ownFile,
    command: (task) => [
      ...[join(task.root, ownFile), '--net=none', `--port-driver=${portDriver}`, ...more],
      ...[stateOption(task), ...publishOptions(task), '--'],
      ...inChild(task),
    ],
  };
}

export const ownBuiltin: Candidate = {
  description: 'this package, --net=none, builtin port driver',
  manyPorts: true,
  ofThisPackage: true,
  apiSocket,
  outbound: outboundBy('builtin'),
  start: (root) => ({
    alone: [join(root, ownFile), '--net=none', '--'],
    builtin: [join(root, ownFile), '--net=builtin', '--'],
    network: [join(root, ownFile), ...withNetwork, '--'],
  }),
  ...own('builtin'),
};

export const ownBypass: Candidate = {
  description: 'this package, --net=none, port driver bypass',
  ...own('bypass', '--allow-host-loopback'),
};

/** The builtin port driver of another checkout of this package. */
export function checkout(root: string): Candidate {
  return { ...ownBuiltin, description: 'another checkout of this package, builtin port driver', root };
}

/** Whether a directory is a checkout of this package. */
export const checkoutFile = ownFile;

/** RootlessKit with one of its port drivers; `more` are further options. */
function rootlesskit(program: string, portDriver: string, more: readonly string[] = []): Omit<Candidate, 'programs'> {
  return {
    description: `RootlessKit, slirp4netns, ${portDriver === 'builtin' ? 'builtin port driver' : 'port driver of slirp4netns'}`,
    version: '--version',
    peer: true,
    manyPorts: true,
    apiSocket,
    command: (task) => [
      program,
      ...['--net=slirp4netns', '--disable-host-loopback', `--port-driver=${portDriver}`, ...more],
      ...[stateOption(task), ...publishOptions(task)],
      ...inChild(task),
    ],
  };
}

/** pasta's port specification, with consecutive ports as a range. */
function pastaPorts({ address, port, morePorts }: Task): string {
  const [first, last] = [morePorts[0], morePorts.at(-1)];
  return `${address}/${port}${first === undefined ? '' : `,${first}-${last}`}`;
}

const pastaLoopback = new Map<string, readonly string[]>();

/** Newer versions need an option to connect from loopback to loopback; without it they serve some hundred clients a second. */
function pastaLoopbackOption(program: string): readonly string[] {
  const option = '--host-lo-to-ns-lo';
  const known =
    pastaLoopback.get(program) ??
    (spawnSync(program, ['--help'], { encoding: 'utf8' }).stdout?.includes(option) ? [option] : []);
  pastaLoopback.set(program, known);
  return known;
}

function pasta(program: string): Candidate {
  return {
    description: 'pasta with its own namespaces',
    programs: [program],
    version: '--version',
    peer: true,
    manyPorts: true,
    command: (task) => {
      const [own, other] = task.protocol === 'tcp' ? ['--tcp-ports', '--udp-ports'] : ['--udp-ports', '--tcp-ports'];
      const options = ['--config-net', '--foreground', ...pastaLoopbackOption(program)];
      const published = [own, pastaPorts(task), other, 'none', '--tcp-ns', 'none', '--udp-ns', 'none'];
      return [program, ...options, ...published, '--', ...inChild(task)];
    },
    outbound: outboundBy('pasta', [program], binaryOption('pasta', program)),
    start: () => ({ network: [program, '--config-net', '--'] }),
  };
}

function socat(program: string): Candidate {
  return {
    description: 'socat with fork, to a server in the same namespace',
    programs: [program],
    version: '-V',
    peer: true,
    command: (task) =>
      besideServer(task, (inside) => {
        const kind = task.protocol.toUpperCase();
        const backlog = task.protocol === 'tcp' ? ',backlog=4096' : '';
        const listen = `${kind}-LISTEN:${task.port},bind=${task.address},fork,reuseaddr${backlog}`;
        return `${program} ${listen} ${kind}:127.0.0.1:${inside}`;
      }),
  };
}

function dockerProxy(program: string): Candidate {
  return {
    description: "Docker's proxy, to a server in the same namespace",
    programs: [program],
    peer: true,
    command: (task) =>
      besideServer(task, (inside) => {
        const from = `-host-ip ${task.address} -host-port ${task.port}`;
        const to = `-container-ip 127.0.0.1 -container-port ${inside}`;
        // It reports its state to descriptor 3.
        return `${program} -proto ${task.protocol} ${from} ${to} 3>/dev/null`;
      }),
  };
}

function rootlesskitBuiltin(program: string): Candidate {
  return {
    ...rootlesskit(program, 'builtin'),
    programs: [program, 'slirp4netns'],
    start: () => ({
      alone: [program, '--net=none'],
      network: [program, ...withNetwork, '--disable-host-loopback'],
    }),
  };
}

/** RootlessKit's port driver slirp4netns; the program is that of either. */
function slirp4netns(program: string): Candidate {
  if (basename(program).startsWith('rootlesskit')) {
    return { ...rootlesskit(program, 'slirp4netns'), programs: [program, 'slirp4netns'] };
  }
  const more = binaryOption('slirp4netns', program);
  return {
    ...rootlesskit('rootlesskit', 'slirp4netns', more),
    programs: [program, 'rootlesskit'],
    outbound: outboundBy('slirp4netns', [program], more),
  };
}

/** For a program that is not the installed one. */
function binaryOption(name: string, program: string): string[] {
  return program === name ? [] : [`--${name}-binary=${program}`];
}

/** The other projects' programs: makes a candidate of the program with that name or path. */
export const peerKinds: Readonly<Record<string, (program: string) => Candidate>> = {
  rootlesskit: rootlesskitBuiltin,
  slirp4netns,
  pasta,
  socat,
  'docker-proxy': dockerProxy,
};
