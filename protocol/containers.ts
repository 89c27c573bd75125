/**
 * Containers and their networks, as the API of a running stack speaks of them (`/v1/containers`, `/v1/networks`).
 * Requests are checked by container-schemas.ts.
 */
import type { PublishSpec } from './publish-spec.js';

/** What a container asks of one network. */
export interface AttachmentRequest {
  /** Name or id of the network. */
  network: string;
  ip?: string | undefined;
  ip6?: string | undefined;
  mac?: string | undefined;
  /** Further names under which its peers on this network find it. */
  aliases?: string[] | undefined;
  /** Its name inside, which stays the same while the container is on this network; chosen by the stack. */
  interface?: string | undefined;
}

export type ContainerNetwork =
  /** Networks of the runtime, eth0, eth1 … in this order; an empty list stands for the default network. */
  | { mode: 'networks'; networks: AttachmentRequest[] }
  /** The stack's own network namespace. */
  | { mode: 'host' }
  /** Loopback only. */
  | { mode: 'none' }
  /** That of another container, by name or id. */
  | { mode: 'container'; container: string }
  | { mode: 'ns'; path: string };

export interface ExtraHost {
  host: string;
  /** An address, or `host-gateway`, which stands for the host's. */
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
  /** uid[:gid]. */
  user?: string | undefined;
  hostname?: string | undefined;
  domainname?: string | undefined;
  /** Its standard streams are a terminal. */
  tty: boolean;
  /** Its standard input stays open for who attaches. */
  stdin: boolean;
  readOnly: boolean;
  /** SOURCE:TARGET[:ro]. */
  mounts: string[];
  network: ContainerNetwork;
  publish: PublishSpec[];
  dns: string[];
  dnsSearch: string[];
  dnsOptions: string[];
  addHosts: ExtraHost[];
  labels: Record<string, string>;
  /** OCI runtime: a program's name or path. */
  runtime: string;
  /** It is removed when it ends. */
  autoRemove: boolean;
}

export type ContainerStatus = 'created' | 'running' | 'exited';

export interface PublishedPort {
  hostIP: string;
  hostPort: number;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** One interface of a running container, as it was set up. */
export interface AttachmentReport {
  network: string;
  interface: string;
  mac: string;
  /** In CIDR notation. */
  ips: string[];
}

export interface ContainerReport {
  id: string;
  name: string;
  status: ContainerStatus;
  /** As the stack's namespaces count; only of a running one. */
  pid?: number;
  /** Of the last run; absent before the first, and where nobody saw it end. */
  exitCode?: number;
  /** ISO 8601. */
  created: string;
  started?: string;
  finished?: string;
  hostname: string;
  /** Those that are published now. */
  ports: PublishedPort[];
  attachments: AttachmentReport[];
  /** CNI results by network, of a running container. */
  results: Record<string, unknown>;
  request: ContainerRequest;
  /** Where its hosts, hostname and resolv.conf are. */
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
  ipv6: boolean;
  internal: boolean;
  /** Whether its containers may reach each other. */
  icc: boolean;
  labels: Record<string, string>;
  /** Of the driver: mtu, parent, mode. */
  options: Record<string, string>;
  ipamDriver: string;
}

export interface NetworkReport {
  name: string;
  id: string;
  driver: string;
  /** False for those that somebody else made; they can be used, but not be removed here. */
  own: boolean;
  file: string;
  subnets: { subnet: string; gateway?: string }[];
  internal: boolean;
  labels: Record<string, string>;
  /** Ids of the containers on it that run, with what they have there. */
  containers: Record<string, { name: string; mac: string; ips: string[] }>;
  /** The network configuration list, as the file has it. */
  conflist: unknown;
}

/** One difference between what should be and what is. */
export interface GarbageReport {
  kind: 'reservation' | 'attachment' | 'device' | 'port' | 'name' | 'meta' | 'hosts' | 'firewall' | 'directory';
  what: string;
  repaired: boolean;
}

/** First text frame of a stream, and those after it that are no data (see docs/container-network.md). */
export type StreamControl =
  | { type: 'resize'; columns: number; rows: number }
  | { type: 'stdin-end' }
  | { type: 'signal'; signal: string }
  | { type: 'started' }
  | { type: 'exit'; code: number }
  | { type: 'error'; message: string };

/** First byte of a binary frame of a stream. */
export const STREAM = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** Of a terminal, in characters. */
export interface TerminalSize {
  columns: number;
  rows: number;
}

/** Body of `POST /v1/containers/NAME/exec`, as the query `request` of the stream's URL. */
export interface ExecRequest {
  command: string[];
  env: string[];
  cwd?: string | undefined;
  user?: string | undefined;
  tty: boolean;
  /** At first. */
  size?: TerminalSize | undefined;
  stdin: boolean;
}
