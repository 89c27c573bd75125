// Whom the benchmark compares, and how each is made to publish a port of a server.
import { join } from 'node:path';

/** What a candidate is asked to do. */
export interface Task {
  /** Command that listens on `port` in the candidate's namespace, on every address. */
  server(port: number): string[];
  /** Port on 127.0.0.1 of the host that clients connect to. */
  port: number;
  /** A directory for the candidate's own files; empty, and writable for its user. */
  directory: string;
  /** Where the programs of this package are compiled to. */
  root: string;
  /** The node to run them with. */
  node: string;
}

export interface Candidate {
  /** What it is, for the legend. */
  description: string;
  /** Programs that must be there. */
  programs: readonly string[];
  /** File of this package that must be there. */
  file?: string;
  /** Argument that makes the first program tell its version. */
  version?: string;
  command(task: Task): string[];
}

/** The candidate that all ratios refer to. */
export const referenceName = 'direct';

/** This package. */
export const ownName = 'rootless-run';

/**
 * Runs a server in a namespace of its own whose root it is: sets the congestion control there (a new namespace
 * has the machine's default, which may be one that paces) and says which one is in force.
 */
function inChild(command: readonly string[]): string[] {
  const file = '/proc/sys/net/ipv4/tcp_congestion_control';
  const script = `echo reno >${file} 2>/dev/null; echo "congestion control: $(cat ${file})"; exec "$@"`;
  return ['sh', '-c', script, 'sh', ...command];
}

function rootlesskit(portDriver: string): Candidate['command'] {
  return ({ port, server, directory }) => [
    'rootlesskit',
    ...['--net=slirp4netns', '--disable-host-loopback', `--port-driver=${portDriver}`],
    ...[`--state-dir=${join(directory, 'state')}`, '-p', `127.0.0.1:${port}:${port}/tcp`],
    ...inChild(server(port)),
  ];
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
    programs: [],
    file: 'dist/bin/rootless-run.js',
    command: ({ server, port, directory, root, node }) => [
      ...[node, join(root, 'dist/bin/rootless-run.js'), '--net=none', '--port-driver=builtin'],
      ...[`--state-dir=${join(directory, 'state')}`, '-p', `127.0.0.1:${port}:${port}/tcp`, '--'],
      ...inChild(server(port)),
    ],
  },
  rootlesskit: {
    description: 'RootlessKit, slirp4netns, builtin port driver',
    programs: ['rootlesskit', 'slirp4netns'],
    version: '--version',
    command: rootlesskit('builtin'),
  },
  slirp4netns: {
    description: 'RootlessKit, slirp4netns, port driver of slirp4netns',
    programs: ['slirp4netns', 'rootlesskit'],
    version: '--version',
    command: rootlesskit('slirp4netns'),
  },
  pasta: {
    description: 'pasta with its own namespaces',
    programs: ['pasta'],
    version: '--version',
    command: ({ server, port }) => [
      ...['pasta', '--config-net', '--foreground', '--tcp-ports', `127.0.0.1/${port}`, '--udp-ports', 'none'],
      ...['--tcp-ns', 'none', '--udp-ns', 'none', '--', ...inChild(server(port))],
    ],
  },
  socat: {
    description: 'socat with fork, to a server in the same namespace',
    programs: ['socat'],
    version: '-V',
    command: ({ server, port }) => {
      const inside = port + 10_000;
      const listen = `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,backlog=4096`;
      const script = `socat ${listen} TCP:127.0.0.1:${inside} & exec "$@"`;
      return ['sh', '-c', script, 'sh', ...server(inside)];
    },
  },
};
