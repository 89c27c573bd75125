// The candidates that are compared, and the command lines by which each publishes a port of a server.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** What a candidate has to do. */
export interface Task {
  /** Command that listens on `port` in the candidate's namespace, on every address. */
  server(port: number): string[];
  protocol: 'tcp' | 'udp';
  /** Address and port of the host that clients connect to. */
  address: string;
  port: number;
  /** Further ports to publish. */
  morePorts: readonly number[];
  /** Congestion control to set in the candidate's namespace; undefined to leave the default. */
  congestion: string | undefined;
  /** A directory for the candidate's own files; empty, and writable for its user. */
  directory: string;
  /** The checkout, or a copy of it. */
  root: string;
  /** The node to run them with. */
  node: string;
}

export interface Candidate {
  /** Description for the legend. */
  description: string;
  /** Programs that must be installed. */
  programs: readonly string[];
  /** File of this package that must exist. */
  file?: string;
  /** Argument with which the first program prints its version. */
  version?: string;
  /** Whether one process publishes many ports. */
  manyPorts?: true;
  /** Socket of its API, if it has RootlessKit's. */
  apiSocket?(directory: string): string;
  command(task: Task): string[];
}

/** The candidate that ratios refer to. */
export const referenceName = 'direct';

/** This package. */
export const ownName = 'rootless-run';
/** This package without relaying. */
export const bypassName = 'bypass';

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

/** pasta's port specification, with consecutive ports as a range. */
function pastaPorts({ address, port, morePorts }: Task): string {
  const [first, last] = [morePorts[0], morePorts.at(-1)];
  return `${address}/${port}${first === undefined ? '' : `,${first}-${last}`}`;
}

let pastaLoopback: readonly string[] | undefined;

/** Newer versions need an option to connect from loopback to loopback; without it they serve some hundred clients a second. */
function pastaLoopbackOption(): readonly string[] {
  pastaLoopback ??= spawnSync('pasta', ['--help'], { encoding: 'utf8' }).stdout?.includes('--host-lo-to-ns-lo')
    ? ['--host-lo-to-ns-lo']
    : [];
  return pastaLoopback;
}

function own(portDriver: string, ...more: readonly string[]): Pick<Candidate, 'programs' | 'file' | 'command'> {
  return {
    programs: [],
    file: 'dist/bin/rootless-run',
    command: (task) => [
      ...[join(task.root, 'dist/bin/rootless-run'), '--net=none', `--port-driver=${portDriver}`, ...more],
      ...[`--state-dir=${join(task.directory, 'state')}`, ...publishOptions(task), '--'],
      ...inChild(task),
    ],
  };
}

function rootlesskit(portDriver: string): Pick<Candidate, 'command' | 'apiSocket' | 'manyPorts'> {
  return {
    manyPorts: true,
    apiSocket: (directory) => join(directory, 'state', 'api.sock'),
    command: (task) => [
      'rootlesskit',
      ...['--net=slirp4netns', '--disable-host-loopback', `--port-driver=${portDriver}`],
      ...[`--state-dir=${join(task.directory, 'state')}`, ...publishOptions(task)],
      ...inChild(task),
    ],
  };
}

/** By name, in the order of the table. */
export const candidates: Readonly<Record<string, Candidate>> = {
  [referenceName]: {
    description: 'client and server on loopback, nothing between them',
    programs: [],
    command: ({ server, port }) => server(port),
  },
  [ownName]: {
    description: 'this package, --net=none, builtin port driver',
    manyPorts: true,
    apiSocket: (directory) => join(directory, 'state', 'api.sock'),
    ...own('builtin'),
  },
  [bypassName]: {
    description: 'this package, --net=none, port driver bypass',
    ...own('bypass', '--allow-host-loopback'),
  },
  rootlesskit: {
    description: 'RootlessKit, slirp4netns, builtin port driver',
    programs: ['rootlesskit', 'slirp4netns'],
    version: '--version',
    ...rootlesskit('builtin'),
  },
  slirp4netns: {
    description: 'RootlessKit, slirp4netns, port driver of slirp4netns',
    programs: ['slirp4netns', 'rootlesskit'],
    version: '--version',
    ...rootlesskit('slirp4netns'),
  },
  pasta: {
    description: 'pasta with its own namespaces',
    programs: ['pasta'],
    version: '--version',
    manyPorts: true,
    command: (task) => {
      const [own, other] = task.protocol === 'tcp' ? ['--tcp-ports', '--udp-ports'] : ['--udp-ports', '--tcp-ports'];
      return [
        ...['pasta', '--config-net', '--foreground', ...pastaLoopbackOption(), own, pastaPorts(task), other, 'none'],
        ...['--tcp-ns', 'none', '--udp-ns', 'none', '--', ...inChild(task)],
      ];
    },
  },
  socat: {
    description: 'socat with fork, to a server in the same namespace',
    programs: ['socat'],
    version: '-V',
    command: (task) =>
      besideServer(task, (inside) => {
        const kind = task.protocol.toUpperCase();
        const backlog = task.protocol === 'tcp' ? ',backlog=4096' : '';
        const listen = `${kind}-LISTEN:${task.port},bind=${task.address},fork,reuseaddr${backlog}`;
        return `socat ${listen} ${kind}:127.0.0.1:${inside}`;
      }),
  },
  'docker-proxy': {
    description: "Docker's proxy, to a server in the same namespace",
    programs: ['docker-proxy'],
    command: (task) =>
      besideServer(task, (inside) => {
        const from = `-host-ip ${task.address} -host-port ${task.port}`;
        // It reports its state to descriptor 3.
        return `docker-proxy -proto ${task.protocol} ${from} -container-ip 127.0.0.1 -container-port ${inside} 3>/dev/null`;
      }),
  },
};

/** The other projects' programs. */
export const peerNames: readonly string[] = Object.keys(candidates).filter(
  (name) => ![referenceName, ownName, bypassName].includes(name),
);
