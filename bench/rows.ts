// The rows of the benchmark, in the order of the tables. Goals are in report/goals.ts.
import { containers } from './measure/containers.js';
import { growth } from './measure/growth.js';
import { memory } from './measure/memory.js';
import { ports } from './measure/ports.js';
import { startUp } from './measure/start-up.js';
import { processorColumn, type Traffic, traffic } from './measure/traffic.js';
import type { Column, Row } from './model.js';
import { iperf3 } from './programs/iperf3.js';
import { connections, datagrams, pings, streams } from './programs/load.js';
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
const percentiles = { p50: beside('p50', 'µs', 0), p99: beside('p99', 'µs', 0) };
const lost = beside('lost', '%', 1);
const gbits: Column = { title: 'throughput', unit: 'Gbit/s', decimals: 2, beside: true };

function tcp(title: string, ...options: string[]): Pick<Traffic, 'title' | 'columns' | 'program'> {
  return { title: `TCP, ${title}`, columns: { rate, cpu: processorColumn }, program: iperf3(...options) };
}

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
  connections: traffic({
    title: 'New TCP connections, 32 at once, one byte each way',
    columns: { rate: perSecond('conn/s'), ...percentiles },
    program: connections(32),
  }),
  'connections-veth': traffic({
    title: 'New TCP connections, 32 at once, one byte each way, client behind a veth',
    columns: { rate: perSecond('conn/s'), ...percentiles },
    program: connections(32),
    remote: true,
  }),
  'connect-latency': traffic({
    title: 'New TCP connections, one at a time, from connect to the first byte, all on one processor',
    columns: { rate: perSecond('conn/s'), ...percentiles },
    program: connections(1),
    pinned: true,
  }),
  ping: traffic({
    title: 'One byte there and back over an open connection, all on one processor',
    columns: {
      p50: { title: 'p50', unit: 'µs', decimals: 1, less: true },
      p99: beside('p99', 'µs', 1),
    },
    program: pings(),
    pinned: true,
  }),
  udp: traffic({
    title: 'UDP, a flood of 1400 bytes each, as received',
    columns: { rate: perSecond('packets/s'), gbits, lost },
    program: datagrams(1400),
  }),
  'udp-8k': traffic({
    title: 'UDP, a flood of 8192 bytes each, as received',
    columns: { rate: perSecond('packets/s'), gbits, lost },
    program: datagrams(8192),
  }),
  nginx: traffic({
    title: 'nginx and wrk, 32 connections kept alive',
    columns: { rate: perSecond('requests/s'), ...percentiles },
    program: nginx(true),
  }),
  'nginx-close': traffic({
    title: 'nginx and wrk, 32 at once, a connection for each request',
    columns: { rate: perSecond('requests/s'), ...percentiles },
    program: nginx(false),
  }),
  redis: traffic({
    title: 'redis and redis-benchmark, GET, 32 connections',
    columns: { rate: perSecond('requests/s'), ...percentiles },
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
  memory,
  ports,
  start: startUp,
  growth,
  container: containers,
};
