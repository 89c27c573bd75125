// The rows of the benchmark, in the order of the tables. Goals are in report/goals.ts.
import { containers } from './measure/containers.js';
import { growth } from './measure/growth.js';
import { memory } from './measure/memory.js';
import { names } from './measure/names.js';
import { outbound } from './measure/outbound.js';
import { overlayGrowth } from './measure/overlay/arrivals.js';
import { overlay } from './measure/overlay/throughput.js';
import { ports } from './measure/ports.js';
import { startUp } from './measure/start-up.js';
import { type Traffic, traffic } from './measure/traffic.js';
import { processorColumns } from './measure/work.js';
import type { Column, Row } from './model.js';
import { iperf3 } from './programs/iperf3.js';
import { connections, datagrams, flows, mixed, pings, streams } from './programs/load.js';
import { dns, nginx, redis } from './programs/servers.js';

const rate: Column = { title: 'throughput', unit: 'Gbit/s', decimals: 1 };
const perSecond = (unit: string): Column => ({ title: 'rate', unit, decimals: 0 });
const beside = (title: string, unit: string, decimals: number): Column => ({
  title,
  unit,
  decimals,
  less: true,
  beside: true,
});
const percentiles = {
  p50: beside('p50', 'µs', 0),
  p99: beside('p99', 'µs', 0),
  p999: beside('p99.9', 'µs', 0),
};
const lost = beside('lost', '%', 1);

function tcp(title: string, ...options: string[]): Omit<Traffic, 'pinned' | 'remote'> {
  const columns = { rate, ...processorColumns('bytes') };
  return { title: `TCP, ${title}`, columns, program: iperf3(...options), work: 'bytes' };
}

function flood(size: number): Traffic {
  return {
    title: `UDP, a flood of ${size} bytes each, as received`,
    columns: { rate: perSecond('packets/s'), lost, ...processorColumns('datagrams') },
    program: datagrams(size),
    work: 'datagrams',
  };
}

function newConnections(title: string, atOnce: number, more: Partial<Traffic> = {}): Traffic {
  return {
    title: `New TCP connections, ${title}`,
    columns: { rate: perSecond('conn/s'), ...percentiles, ...processorColumns('connections') },
    program: connections(atOnce),
    work: 'connections',
    ...more,
  };
}

/** Rows in which the client is inside. */
const outboundRows: Readonly<Record<string, Row>> = {
  'out-tcp': outbound(tcp('outbound, one stream to the server')),
  'out-tcp-reverse': outbound(tcp('outbound, one stream from the server', '--reverse')),
  'out-connections': outbound(newConnections('outbound, 32 at once, one byte each way', 32)),
  'out-connect-latency': outbound(
    newConnections('outbound, one at a time, from connect to the first byte, all on one processor', 1, {
      pinned: true,
    }),
  ),
  'out-udp': outbound({ ...flood(1400), title: 'UDP, outbound, a flood of 1400 bytes each, as received' }),
  'out-dns': outbound({
    title: "dnsperf, 32 clients that ask the network's DNS server; the host's is dnsmasq",
    columns: { rate: perSecond('queries/s'), lost, ...processorColumns('queries') },
    program: dns(),
    work: 'queries',
    resolver: true,
  }),
};

/** By name. */
export const rows: Readonly<Record<string, Row>> = {
  tcp: traffic(tcp('one stream to the server')),
  'tcp-reverse': traffic(tcp('one stream from the server', '--reverse')),
  'tcp-4': traffic({ ...tcp('4 streams, a thread each'), program: streams(4) }),
  'tcp-16': traffic({ ...tcp('16 streams, a thread each'), program: streams(16) }),
  'tcp-bbr': traffic({ ...tcp('one stream to the server, bbr'), defaultCongestion: 'bbr' }),
  'tcp-bbr-reverse': traffic({ ...tcp('one stream from the server, bbr', '--reverse'), defaultCongestion: 'bbr' }),
  'tcp-1k': traffic(tcp('one stream, 1 KiB a write', '--length', '1K')),
  'tcp-veth': traffic({ ...tcp('one stream to the server, client behind a veth'), remote: true }),
  'tcp-mixed': traffic({
    title: 'Small TCP connections beside a stream to the server: one byte there and back',
    columns: {
      p99: { title: 'p99', unit: 'µs', decimals: 0, less: true },
      p50: percentiles.p50,
      p999: percentiles.p999,
      connect: beside('connect to first byte, p99', 'µs', 0),
      rate: { title: 'the stream', unit: 'Gbit/s', decimals: 1, beside: true },
    },
    program: mixed(1),
  }),
  connections: traffic(newConnections('32 at once, one byte each way', 32)),
  'connections-veth': traffic(
    newConnections('32 at once, one byte each way, client behind a veth', 32, { remote: true }),
  ),
  'connect-latency': traffic(
    newConnections('one at a time, from connect to the first byte, all on one processor', 1, { pinned: true }),
  ),
  ping: traffic({
    title: 'One byte there and back over an open connection, all on one processor',
    columns: {
      p50: { title: 'p50', unit: 'µs', decimals: 1, less: true },
      p99: beside('p99', 'µs', 1),
      p999: beside('p99.9', 'µs', 1),
    },
    program: pings(),
    pinned: true,
  }),
  udp: traffic(flood(1400)),
  'udp-64': traffic(flood(64)),
  'udp-8k': traffic(flood(8192)),
  'udp-flows': traffic({
    title: 'UDP, 64 bytes there and back, 1,000 clients by turns, 64 at once',
    columns: {
      rate: perSecond('answers/s'),
      ...percentiles,
      first: beside("a client's first, p50", 'µs', 0),
      lost,
      ...processorColumns('datagrams'),
    },
    program: flows(1000),
    work: 'datagrams',
  }),
  nginx: traffic({
    title: 'nginx and wrk, 32 connections kept alive',
    columns: { rate: perSecond('requests/s'), p50: percentiles.p50, p99: percentiles.p99 },
    program: nginx(true),
  }),
  'nginx-close': traffic({
    title: 'nginx and wrk, 32 at once, a connection for each request',
    columns: { rate: perSecond('requests/s'), p50: percentiles.p50, p99: percentiles.p99 },
    program: nginx(false),
  }),
  redis: traffic({
    title: 'redis and redis-benchmark, GET, 32 connections',
    columns: { rate: perSecond('requests/s'), p50: percentiles.p50, p99: percentiles.p99 },
    program: redis(),
  }),
  dns: traffic({
    title: 'dnsmasq and dnsperf, 32 clients',
    columns: { rate: perSecond('queries/s'), lost },
    program: dns(),
  }),
  'dns-veth': traffic({
    title: 'dnsmasq and dnsperf, 32 clients behind a veth',
    columns: { rate: perSecond('queries/s'), lost },
    program: dns(),
    remote: true,
  }),
  ...outboundRows,
  memory,
  ports,
  start: startUp,
  growth,
  container: containers,
  overlay,
  'overlay-growth': overlayGrowth,
  names: names({ rate: perSecond('answers/s'), ...percentiles, lost }),
};
