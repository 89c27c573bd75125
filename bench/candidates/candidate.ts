// What a candidate is: how it publishes a port of a server, and what else it can do.

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
  /** The checkout that a candidate of this package runs, or a copy of it. */
  root: string;
}

/** Command lines that start a stack; the command that is to run in it follows. */
export interface StartCommands {
  /** Without a network. */
  alone?: readonly string[];
  /** With the network driver builtin. */
  builtin?: readonly string[];
  /** With slirp4netns, the builtin port driver and a copy-up, or what the candidate has in their place. */
  network: readonly string[];
}

/** How a candidate gives a namespace its network, for rows in which a client in there connects to a server elsewhere. */
export interface Outbound extends Pick<Candidate, 'description' | 'programs' | 'command'> {
  /** Address of the DNS server that programs in there ask. */
  dns: string;
}

export interface Candidate {
  /** Description for the legend. */
  description: string;
  /** Programs that must be installed, the candidate's own first; names or paths. */
  programs: readonly string[];
  /** File of the checkout that must exist. */
  file?: string;
  /** The checkout of a candidate of this package, if it is another one. */
  root?: string;
  /** Argument with which the first program prints its version. */
  version?: string;
  /** Another project's program. */
  peer?: true;
  /** Whether one process publishes many ports. */
  manyPorts?: true;
  /** Whether it is a stack of this package, so that its API publishes ranges and its commands run containers. */
  ofThisPackage?: true;
  /** Socket of its API, if it has RootlessKit's. */
  apiSocket?(directory: string): string;
  command(task: Task): string[];
  outbound?: Outbound;
  start?(root: string): StartCommands;
}

/** By name, in the order of the tables. */
export type Candidates = Readonly<Record<string, Candidate>>;

/** The candidate that ratios refer to. */
export const referenceName = 'direct';

/** This package. */
export const ownName = 'rootless-run';
/** This package without relaying. */
export const bypassName = 'bypass';
/** An earlier state of this package, if `--peer` gives one this name: goals compare with it. */
export const beforeName = 'before';
