/**
 * Containers and networks in the API of a running stack (`/v1/containers`, `/v1/networks`). Requests are validated by
 * schemas.ts.
 */

import type { ErrorBody } from '../errors/error-body.js';
import type { CNIPortMapping } from '../ports/cni-json.js';
import type { LogOptions } from './log-options.js';
import type { ContainerMount } from './mounts.js';
import type { RestartPolicy } from './restart-policy.js';
import type { Ulimit } from './rlimits.js';

/**
 * Largest request body, in bytes: a container may publish thousands of ports, and its command and environment may have the
 * kernel's limit of 6 MiB, each byte of which may be six in JSON.
 */
export const MAX_REQUEST_BODY = 64 * 1024 * 1024;

/** Largest number of networks of a container. */
export const MAX_NETWORKS = 16;

/** The OCI runtimes that are known; a request that names none has the first one that is installed. */
export const OCI_RUNTIMES = ['runc', 'crun'] as const;

/** What a container requests of one network. */
export interface AttachmentRequest {
  /** Name or id of the network. */
  network: string;
  ip?: string | undefined;
  ip6?: string | undefined;
  mac?: string | undefined;
  /** Further names by which its peers on this network find it. */
  aliases?: string[] | undefined;
  /** Interface name, kept while the container is on this network; chosen by the stack unless given. */
  interface?: string | undefined;
  /** The network with the highest value has the default route, the first one if several have it; 0 unless given. */
  gatewayPriority?: number | undefined;
}

export type ContainerNetwork =
  /** eth0, eth1 … in this order; an empty list means the default network. */
  | { mode: 'networks'; networks: AttachmentRequest[] }
  /** The stack's own network namespace. */
  | { mode: 'host' }
  /** Loopback only. */
  | { mode: 'none' }
  /** The network namespace of another container, by name or id. */
  | { mode: 'container'; container: string }
  | { mode: 'ns'; path: string };

export interface ExtraHost {
  host: string;
  /** An address, or `host-gateway` for the host's. */
  ip: string;
}

/** Body of `POST /v1/containers`. One of rootfs and bundle is given; paths are absolute. */
export interface ContainerRequest {
  name?: string | undefined;
  /** Directory of a root file system. */
  rootfs?: string | undefined;
  /** Directory of an OCI bundle. */
  bundle?: string | undefined;
  /** Program and arguments; absent for those of the bundle. */
  command?: string[] | undefined;
  /** NAME=value. */
  env: string[];
  cwd?: string | undefined;
  /** `USER[:GROUP]`, names of the container's own /etc/passwd and /etc/group, or numbers. */
  user?: string | undefined;
  /** Further groups of its programs, by names or numbers. */
  groupAdd: string[];
  hostname?: string | undefined;
  domainname?: string | undefined;
  /** Its standard streams are a terminal. */
  tty: boolean;
  /** Its standard input stays open for attach. */
  stdin: boolean;
  readOnly: boolean;
  /** A request may also give them as text, `SOURCE:TARGET[:OPTIONS]`. */
  mounts: ContainerMount[];
  /** By name, see sysctls.ts. */
  sysctls: Record<string, string>;
  /** Capabilities to add to, and to drop from, the default ones or those of the bundle. Names, or ALL. */
  capAdd: string[];
  capDrop: string[];
  /** Whether its first process is an init that forwards signals and reaps orphans. */
  init: boolean;
  /** Signal to stop it with, by name or number; absent for SIGTERM. */
  stopSignal?: string | undefined;
  /** Seconds until it is killed after that signal; -1 for never, absent for the default. */
  stopTimeout?: number | undefined;
  /** Whether it is started again after it has ended, and when the stack starts. */
  restart: RestartPolicy;
  ulimits: Ulimit[];
  /** Of /dev/shm, in bytes. */
  shmSize?: number | undefined;
  /** Absolute path of a file for the pid of its first process. */
  pidFile?: string | undefined;
  /** Of the OCI configuration. */
  annotations: Record<string, string>;
  network: ContainerNetwork;
  /** What it may reach: lines of an egress file; everything that the stack and its networks may if there are none. */
  egress: string[];
  /** Bytes a second out of it and into it, as --limit takes it; as much as the stack and its ports may unless given. */
  limit?: string | undefined;
  publish: CNIPortMapping[];
  /** What is published while something listens inside, as `-p` takes it: `auto`, `127.0.0.7:auto:3000-9999/tcp`. */
  autoPublish: string[];
  dns: string[];
  dnsSearch: string[];
  dnsOptions: string[];
  addHosts: ExtraHost[];
  labels: Record<string, string>;
  /** OCI runtime: a program's name or path; absent for runc, or crun where runc is not installed. */
  runtime?: string | undefined;
  /** Whether it is removed when it ends. */
  autoRemove: boolean;
  /** Limits of its log. */
  log: LogOptions;
  /** Absolute path of a seccomp profile, or `unconfined`; absent for the default, or for the bundle's. */
  seccomp?: string | undefined;
  /** Whether executing programs such as sudo gives no further privileges (PR_SET_NO_NEW_PRIVS). */
  noNewPrivileges: boolean;
  /** Largest number of processes and threads, -1 for no limit; absent for the default, or for the bundle's. */
  pidsLimit?: number | undefined;
}

/** `restarting`: it has ended, and will be started again. */
export type ContainerStatus = 'created' | 'running' | 'restarting' | 'exited';

/** One interface of a running container. */
export interface AttachmentReport {
  network: string;
  interface: string;
  mac: string;
  /** In CIDR notation. */
  ips: string[];
}

/** The network of a container with `--net=container:NAME`. */
export interface SharedNetworkReport {
  /** Id of the container that has the interfaces. */
  container: string;
  /** Absent if it was removed. */
  name?: string;
  /**
   * `running`: the interfaces exist. `stopped`: they return when it is started again. `removed`: they do not. `lost`: it
   * runs in another namespace.
   */
  state: 'running' | 'stopped' | 'removed' | 'lost';
}

export interface ContainerReport {
  id: string;
  name: string;
  status: ContainerStatus;
  /** In the stack's pid namespace; only while it runs. */
  pid?: number;
  /** Of the last run; absent before the first, and if it is unknown. */
  exitCode?: number;
  /** Why the exit code is unknown, or will be. */
  reason?: string;
  /** Why it could not be started again by its restart policy. */
  failure?: string;
  /** How often its restart policy has started it since it was started by request. */
  restartCount: number;
  /** ISO 8601. */
  created: string;
  started?: string;
  finished?: string;
  hostname: string;
  /** The ports that are published now. */
  ports: CNIPortMapping[];
  attachments: AttachmentReport[];
  /** CNI results by network, of a running container. */
  results: Record<string, unknown>;
  /** Present if it uses the network of another container. */
  sharedNetwork?: SharedNetworkReport;
  /** Names of containers that use its network; absent if there are none. */
  sharedBy?: string[];
  request: ContainerRequest;
  /** Directory of its hosts, hostname and resolv.conf. */
  directory: string;
}

/** Body of `POST /v1/networks`. */
export interface NetworkRequest {
  name: string;
  driver: string;
  subnets: string[];
  gateways: string[];
  ipRanges: string[];
  /** name=address. */
  auxAddresses: string[];
  /** Whether it has IPv4; with a free subnet if none is given. */
  ipv4: boolean;
  /** Whether it has IPv6; with a ULA /64 if no subnet is given. */
  ipv6: boolean;
  /** Whether it may have subnets that the host has routes to. */
  force: boolean;
  internal: boolean;
  /** Whether its containers may reach each other. */
  icc: boolean;
  /** What its containers may reach outside of it: lines of an egress file; everything if there are none. */
  egress: string[];
  labels: Record<string, string>;
  /** Driver options: mtu, parent, mode. */
  options: Record<string, string>;
  ipamDriver: string;
}

/** Body of `POST /v1/networks/NAME/update`: the new subnets replace those of the same family. */
export type NetworkUpdate = Pick<NetworkRequest, 'subnets' | 'gateways' | 'ipRanges' | 'auxAddresses' | 'force'>;

export interface NetworkReport {
  name: string;
  id: string;
  driver: string;
  /** Whether this package created it; others can be used, but not removed here. */
  own: boolean;
  file: string;
  /** When its file was written, ISO 8601; absent if unknown. */
  created?: string;
  subnets: { subnet: string; gateway?: string }[];
  internal: boolean;
  /** Its egress policy, lines of an egress file; absent where it has none. */
  egress?: string[];
  labels: Record<string, string>;
  /** The running containers on it, by id. */
  containers: Record<string, { name: string; mac: string; ips: string[] }>;
  /** The content of its network configuration list. */
  conflist: unknown;
}

/** The DNS server of a network. */
export interface NetworkNamesReport {
  network: string;
  /** Its addresses, on port 53; none where the network has no server. */
  servers: string[];
  /** Why it has none; "" otherwise. */
  problem: string;
  /** Queries by who has answered; see NameQueryReport. */
  answers: Record<string, number>;
}

/** What the DNS server of a network has answered. */
export interface NameQueryReport {
  name: string;
  /** `A`, `AAAA` … */
  type: string;
  /** `NOERROR`, `NXDOMAIN` … */
  status: string;
  records: { name: string; type: string; ttl: number; data: string }[];
  /** Who has answered: own, missing, internal, host, servers, malformed, refused, limited, lost. */
  from: string;
  reason: string;
}

/** One difference between the recorded and the actual state. */
export interface GarbageReport {
  kind: 'reservation' | 'attachment' | 'device' | 'port' | 'name' | 'meta' | 'hosts' | 'firewall' | 'directory';
  what: string;
  repaired: boolean;
}

/** Text frames of a stream, which are control messages (see docs/guide/container-network.md). */
export type StreamControl =
  | { type: 'resize'; columns: number; rows: number }
  | { type: 'stdin-end' }
  | { type: 'signal'; signal: string }
  | { type: 'started' }
  | { type: 'exit'; code: number }
  /** `status` is the HTTP status for this error. */
  | ({ type: 'error'; status?: number } & ErrorBody);

/** First byte of a binary frame of a stream. */
export const STREAM = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** Of a terminal, in characters. */
export interface TerminalSize {
  columns: number;
  rows: number;
}

/** The part of a container's log that is requested: the query of the stream's URL. */
export interface LogsRequest {
  /** Whether to continue until the container ends. */
  follow: boolean;
  /** Only entries from this time on, in the format of parseLogTime(). */
  since?: string | undefined;
  /** Only entries up to this time. */
  until?: string | undefined;
  /** Number of lines from the end. */
  tail?: number | undefined;
  /** Whether each line begins with its time. */
  timestamps: boolean;
}

/** Body of `POST /v1/containers/NAME/exec`; the answer's `id` is the query of the stream that runs it. */
export interface ExecRequest {
  command: string[];
  env: string[];
  cwd?: string | undefined;
  user?: string | undefined;
  tty: boolean;
  /** Initial size of the terminal. */
  size?: TerminalSize | undefined;
  stdin: boolean;
  /** Whether its stream ends with code 0 once it has started; its output is discarded. */
  detach: boolean;
}
