import assert from 'node:assert/strict';
import { collectMetrics, type MetricsDeps } from '../../../../parent/observation/metrics/collect.js';
import { exposition } from '../../../../parent/observation/metrics/exposition.js';
import type { PortDriver } from '../../../../parent/port/driver.js';
import { parsePortSpec } from '../../../../protocol/ports/grammar.js';
import { readExposition } from '../../../support/observation/exposition.js';

const COUNTERS = { open: 1, opened: 2, refused: 3, bytesIn: 4, bytesOut: 5 };
const REPORT = { listener: { state: 'listening' }, counters: COUNTERS, refusals: { 'no-server': 3 } } as const;

function depsOf(more: Partial<MetricsDeps> = {}): MetricsDeps {
  return {
    network: () => ({ driver: 'none', up: false }),
    ports: undefined,
    agent: { restarts: 7 },
    agentGet: async () => undefined,
    egress: undefined,
    overlays: async () => [],
    outbound: () => 0,
    ...more,
  };
}

const read = async (deps: MetricsDeps) => readExposition(exposition(await collectMetrics(deps)));

describe('the metrics of a stack', () => {
  it('have a series for each port, with its container, and one for a range', async () => {
    const list = [
      { id: 1, container: 'c0ffee', ...parsePortSpec('127.0.0.2:8080:80') },
      { id: 2, ...parsePortSpec('[::1]:9000-9001:90-91/udp6') },
    ];
    const metrics = await read(
      depsOf({
        ports: { list: () => list, report: () => REPORT } as unknown as PortDriver,
        agentGet: async (path, test) => {
          const answer =
            path === '/v1/usage' ? [{ id: 'c0ffee', name: 'web', received: 8, sent: 9, cpuTime: 2_500_000 }] : [];
          return test(answer) ? answer : undefined;
        },
      }),
    );
    const of = (name: string) => metrics.get(`rootless_net_${name}`)?.samples;
    const web = { port: '127.0.0.2:8080/tcp', container: 'web' };
    const range = { port: '[::1]:9000-9001/udp6', container: '' };
    assert.deepEqual(of('port_connections'), [
      { labels: web, value: 1 },
      { labels: range, value: 2 },
    ]);
    assert.deepEqual(of('port_bytes_total')?.slice(2), [
      { labels: { ...range, direction: 'in' }, value: 8 },
      { labels: { ...range, direction: 'out' }, value: 10 },
    ]);
    assert.deepEqual(of('port_refused_total')?.[0], { labels: { ...web, reason: 'no-server' }, value: 3 });
    assert.deepEqual(of('container_bytes_total'), [
      { labels: { container: 'web', direction: 'in' }, value: 8 },
      { labels: { container: 'web', direction: 'out' }, value: 9 },
    ]);
    assert.deepEqual(of('container_cpu_seconds_total'), [{ labels: { container: 'web' }, value: 2.5 }]);
    assert.deepEqual(of('agent_restarts_total'), [{ labels: {}, value: 7 }]);
    assert.deepEqual(of('network_up'), [{ labels: { driver: 'none' }, value: 0 }]);
    assert.deepEqual(of('ports'), [{ labels: {}, value: 3 }]);
  });

  it('stay bounded, whatever is published', async () => {
    const list = Array.from({ length: 3000 }, (_, index) => ({
      id: index * 60 + 1,
      ...parsePortSpec(`127.0.${Math.floor(index / 200)}.${1 + (index % 200)}:10000-10059:10000-10059`),
    }));
    let looks = 0;
    const report = () => {
      looks++;
      return REPORT;
    };
    const metrics = await read(depsOf({ ports: { list: () => list, report } as unknown as PortDriver }));
    assert.ok(looks <= 20_000);
    assert.ok((metrics.get('rootless_net_port_up')?.samples.length ?? 0) <= 1000);
    assert.equal(metrics.get('rootless_net_ports')?.samples[0]?.value, 180_000);
  });
});
