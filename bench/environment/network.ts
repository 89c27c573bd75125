// The network for measurements: that of a host, and a second namespace with a client behind a veth.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { makeHostNetwork } from '../../test/setup/machine/host-network.js';
import { waitFor } from '../../test/support/wait-for.js';

export interface BenchNetwork {
  /** The machine's default, which new namespaces inherit. */
  defaultCongestion: string;
  /** Whether we may change its settings. */
  own: boolean;
  /** The client's side of the veth. */
  remote?: RemoteClient;
}

export interface RemoteClient {
  /** Command prefix that runs a client there. */
  prefix: readonly string[];
  /** The host's address on the veth. */
  hostAddress: string;
  /** The client's address. */
  address: string;
}

const congestionFile = '/proc/sys/net/ipv4/tcp_congestion_control';

export function congestionControl(): string {
  return readFileSync(congestionFile, 'utf8').trim();
}

/** The present network, for users who cannot create one. */
export function foundNetwork(): BenchNetwork {
  return { defaultCongestion: congestionControl(), own: false };
}

/** Sets up the network in new network and pid namespaces, which end with all that it starts. */
export async function makeNetwork(): Promise<BenchNetwork> {
  const defaultCongestion = congestionControl();
  makeHostNetwork();
  return { defaultCongestion, own: true, remote: await makeRemote() };
}

async function makeRemote(): Promise<RemoteClient> {
  const [hostAddress, address] = ['10.124.0.1', '10.124.0.2'];
  const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
  holder.unref();
  const pid = await ownNamespace(holder);
  const prefix = ['nsenter', `--net=/proc/${pid}/ns/net`];
  for (const command of [
    ['ip', 'link', 'add', 'bench0', 'type', 'veth', 'peer', 'name', 'bench1'],
    ['ip', 'link', 'set', 'bench1', 'netns', String(pid)],
    ['ip', 'addr', 'add', `${hostAddress}/24`, 'dev', 'bench0'],
    ['ip', 'link', 'set', 'bench0', 'up'],
    [...prefix, 'ip', 'link', 'set', 'lo', 'up'],
    [...prefix, 'ip', 'addr', 'add', `${address}/24`, 'dev', 'bench1'],
    [...prefix, 'ip', 'link', 'set', 'bench1', 'up'],
    [...prefix, 'sh', '-c', `echo reno >${congestionFile}`],
  ]) {
    const { status, stderr } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command.join(' ')} failed: ${stderr}`);
  }
  return { prefix, hostAddress, address };
}

/** The process's id, once it is in a network namespace of its own. */
async function ownNamespace({ pid }: ChildProcess): Promise<number> {
  const isSleep = () => pid !== undefined && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n';
  await waitFor(isSleep, { what: "the client's namespace" });
  return pid ?? 0;
}

/** Runs `action` with another congestion control, if we may set it. */
export function withCongestion<T>(network: BenchNetwork, name: string, action: () => Promise<T>): Promise<T> {
  return withSetting(network, congestionFile, name, action);
}

/**
 * Runs `action` in a network that remembers few ended connections, if we may set that. A forwarder that ends its connections by
 * a FIN leaves one for a minute each; some ten thousand to one server, and a connection takes milliseconds to find a port, for
 * each candidate that shares the host's network.
 */
export function withFewEndedConnections<T>(network: BenchNetwork, action: () => Promise<T>): Promise<T> {
  return withSetting(network, '/proc/sys/net/ipv4/tcp_max_tw_buckets', '16', action);
}

async function withSetting<T>(
  network: BenchNetwork,
  file: string,
  value: string,
  action: () => Promise<T>,
): Promise<T> {
  if (!network.own) return action();
  const before = readFileSync(file, 'utf8').trim();
  writeFileSync(file, value);
  try {
    return await action();
  } finally {
    writeFileSync(file, before);
  }
}
