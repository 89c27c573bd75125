// Common servers, each with the load generator that is usual for it.
import { join } from 'node:path';
import type { Program } from '../measure/traffic.js';
import type { Figure } from '../model.js';

const connections = 32;

/** nginx with a small page, and wrk. Without keep-alive each request uses a new connection. */
export function nginx(keepAlive: boolean): Program {
  return {
    programs: ['nginx', 'wrk'],
    files: () => ({ 'www/index.html': 'a small page\n' }),
    server: (port, { directory }) => {
      const file = join(directory, `nginx-${port}.conf`);
      // Written by a shell, since the port is known only now.
      return [
        'sh',
        '-c',
        `cat >${file} <<'END'\n${nginxConfiguration(directory, port)}END\nexec ${nginxCommand(file)}`,
      ];
    },
    client: (address, port, seconds) => [
      ...['wrk', '--threads', '2', '--connections', String(connections), '--duration', String(Math.ceil(seconds))],
      ...['--latency', ...(keepAlive ? [] : ['--header', 'Connection: close']), `http://${address}:${port}/`],
    ],
    parse: parseWrk,
  };
}

function nginxCommand(file: string): string {
  return `nginx -e stderr -c ${file} -g 'daemon off;'`;
}

function nginxConfiguration(directory: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `user root root;
worker_processes 1;
pid ${directory}/nginx-${port}.pid;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
  server { listen 0.0.0.0:${port} backlog=4096; root ${directory}/www; }
}
`;
}

/** @throws {Error} if no request was answered */
export function parseWrk(output: string): Figure {
  const rate = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(output)?.[1]);
  if (!(rate > 0)) throw new Error(`no request was answered: ${output.trim()}`);
  const [p50, p99] = ['50', '99'].map((percent) => {
    const found = new RegExp(`^ +${percent}% +([\\d.]+)(us|ms|s)$`, 'm').exec(output);
    return Number(found?.[1]) * ({ us: 1, ms: 1000, s: 1e6 }[found?.[2] ?? ''] ?? Number.NaN);
  });
  const errors = /Socket errors: (.*)$/m.exec(output)?.[1] ?? /Non-2xx or 3xx responses: \d+/.exec(output)?.[0];
  const caveat = errors ?? stuck(rate, p50);
  return {
    values: { rate, ...(p50 !== undefined && p99 !== undefined && p50 >= 0 && p99 >= 0 && { p50, p99 }) },
    ...(caveat !== undefined && { caveat }),
  };
}

/**
 * A caveat if most connections are stuck: a forwarder that serves a few connections only looks fast to those. Each connection has
 * one request in flight, so rate times latency is about their number (roughly, as the median is not the mean).
 */
function stuck(rate: number, p50 = Number.NaN): string | undefined {
  const moving = (rate * p50) / 1e6;
  return moving < connections / 4
    ? `only about ${moving.toFixed(0)} of ${connections} connections were moving, the others stuck`
    : undefined;
}

/** redis, and the benchmark that comes with it: small values, one request of each client at a time. */
export function redis(): Program {
  return {
    programs: ['redis-server', 'redis-benchmark'],
    server: (port, { directory }) => [
      ...['redis-server', '--port', String(port), '--bind', '0.0.0.0', '--protected-mode', 'no'],
      ...['--save', '', '--appendonly', 'no', '--dir', directory],
    ],
    ready: /Ready to accept connections/,
    client: (address, port, seconds) => [
      ...['redis-benchmark', '-h', address, '-p', String(port), '-c', String(connections)],
      // It takes a number of requests instead of a time; this is about a second's worth.
      ...['-n', String(Math.ceil(seconds * 30_000)), '-t', 'get', '--csv'],
    ],
    parse: parseRedis,
  };
}

/** @throws {Error} if there is no figure */
export function parseRedis(output: string): Figure {
  const cells = /^"GET[^"]*",(.*)$/m
    .exec(output)?.[1]
    ?.split(',')
    .map((cell) => Number(cell.replaceAll('"', '')));
  const rate = cells?.[0];
  if (cells === undefined || !(Number(rate) > 0)) throw new Error(`redis-benchmark: ${output.trim() || 'no result'}`);
  // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
  const [, , , p50, , p99] = cells;
  if (p50 === undefined || p99 === undefined) return { values: { rate: Number(rate) } };
  const caveat = stuck(Number(rate), p50 * 1000);
  return {
    values: { rate: Number(rate), p50: p50 * 1000, p99: p99 * 1000 },
    ...(caveat !== undefined && { caveat }),
  };
}

/** dnsmasq, which answers by itself, and dnsperf. */
export function dns(): Program {
  return {
    programs: ['dnsmasq', 'dnsperf'],
    protocol: 'udp',
    files: () => ({ 'queries.txt': 'host.bench.test A\n' }),
    server: (port) => [
      ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', `--port=${port}`, '--user=', '--group='],
      ...['--no-resolv', '--no-hosts', '--address=/bench.test/192.0.2.1', '--pid-file=', '--log-facility=-'],
    ],
    ready: /started, version/,
    client: (address, port, seconds, { directory }) => [
      ...['dnsperf', '-s', address, '-p', String(port), '-d', join(directory, 'queries.txt')],
      ...['-l', String(Math.ceil(seconds)), '-c', String(connections), '-q', '200'],
    ],
    parse: parseDnsperf,
  };
}

/** @throws {Error} if nothing was answered */
export function parseDnsperf(output: string): Figure {
  const rate = Number(/Queries per second:\s+([\d.]+)/.exec(output)?.[1]);
  if (!(rate > 0)) throw new Error(`nothing was answered: ${output.trim().split('\n').at(-1)}`);
  const lost = Number(/Queries lost:\s+\d+ \(([\d.]+)%\)/.exec(output)?.[1] ?? 0);
  const queries = Number(/Queries completed:\s+(\d+)/.exec(output)?.[1] ?? 0);
  return { values: { rate, lost }, details: { queries } };
}
