import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { textWidth } from '../../../../bin/common/text-width.js';
import { connectionTable } from '../../../../bin/ctl/connections.js';
import { reportBetween, type Sample } from '../../../../bin/ctl/top/sample.js';
import { topText } from '../../../../bin/ctl/top/screen.js';
import { eventLine, eventView } from '../../../../bin/net/docker/event.js';
import { usageCells, usageRow } from '../../../../bin/net/docker/usage.js';
import type { Flow, PortReport } from '../../../../protocol/api/types.js';

const portOf = (id: number, bytesIn: number): PortReport => ({
  id,
  spec: { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 8000 + id, childPort: 80 },
  counters: { open: id, opened: id, refused: 0, bytesIn, bytesOut: 0 },
  container: 'c1',
});
const FLOW: Flow = {
  protocol: 'tcp',
  direction: 'out',
  connection: 7,
  client: '10.0.2.100:5',
  destination: '192.0.2.1:443',
  host: '192.0.2.1:443',
  bytesSent: 0,
  bytesReceived: 0,
  since: 0,
  verdict: 'allowed',
};
const before: Sample = {
  time: 1000,
  ports: [portOf(1, 100), portOf(2, 100)],
  usage: [{ id: 'c1', name: 'web\u001b[2J', cpuTime: 0, received: 0, sent: 0 }],
  flows: [FLOW],
};
const now: Sample = {
  time: 3000,
  ports: [portOf(1, 100), portOf(2, 4100)],
  usage: [{ id: 'c1', name: 'web\u001b[2J', cpuTime: 1_000_000, received: 2000, sent: 0 }],
  flows: [{ ...FLOW, bytesReceived: 1000 }],
};

describe('the report of top', () => {
  it('has rates between two moments, the busiest first', () => {
    const { ports, containers, busiest, connections, total } = reportBetween(before, now, 'bytes');
    assert.deepEqual(
      ports.map(({ id, in: rate, container }) => [id, rate, container]),
      [
        [2, 2000, 'web\u001b[2J'],
        [1, 0, 'web\u001b[2J'],
      ],
    );
    assert.deepEqual([containers[0]?.cpu, containers[0]?.in], [50, 1000]);
    assert.deepEqual([busiest[0]?.to, busiest[0]?.in], ['192.0.2.1:443', 500]);
    assert.deepEqual(
      [connections, total],
      [
        { in: 3, out: 1 },
        { in: 2500, out: 0 },
      ],
    );
    assert.deepEqual(
      reportBetween(before, now, 'name').ports.map(({ id }) => id),
      [1, 2],
    );
  });

  it('counts from nothing where something began or ended between them', () => {
    const { ports, busiest } = reportBetween({ ...before, ports: [], flows: [] }, { ...now, usage: [] }, 'bytes');
    assert.equal(ports[0]?.in, 2050);
    assert.equal(busiest[0]?.in, 500);
    assert.equal(reportBetween(now, before, 'bytes').ports[0]?.in, 0, 'never below 0');
  });

  it('fits the terminal, without what would harm it', () => {
    const report = reportBetween(before, now, 'bytes');
    const whole = topText(report, 'stack');
    assert.match(whole, /^stack - connections: 3 in, 1 out - in 2\.5kB\/s, out 0B\/s\n\nPORT /);
    assert.ok(!whole.includes('\u001b'));
    for (const [rows, columns] of [
      [1, 10],
      [4, 20],
      [7, 200],
    ] as const) {
      const lines = topText(report, 'stack', { rows, columns }).trimEnd().split('\n');
      assert.ok(lines.length <= rows && lines.every((line) => line.length <= columns), `${rows} x ${columns}`);
    }
  });

  it('counts what does not fit', () => {
    const ports = [4, 3, 2, 1].map((id) => portOf(id, 0));
    const { ports: rows } = reportBetween({ ...before, ports }, { ...now, ports }, 'bytes');
    assert.deepEqual(
      rows.map(({ id }) => id),
      [4, 3, 2, 1],
      'those with most connections come first',
    );
    const report = reportBetween({ ...before, ports }, { ...now, ports, usage: [], flows: [] }, 'bytes');
    assert.deepEqual(
      topText(report, 'stack', { rows: 5, columns: 20 }).split('\n').slice(2),
      ['PORT                 ', '127.0.0.1:8004:80/tc', '… 3 more', ''].map((line) => line.slice(0, 20)),
    );
  });

  it('is cut by the columns that it takes, with the style of headings around what is left', () => {
    const usage = now.usage.map((one) => ({ ...one, name: '日本'.repeat(9) }));
    const report = reportBetween(before, { ...now, usage }, 'bytes');
    const given = process.env.FORCE_COLOR;
    process.env.FORCE_COLOR = '1';
    const lines = topText(report, 'stack', { rows: 40, columns: 15 }).split('\n');
    if (given === undefined) delete process.env.FORCE_COLOR;
    else process.env.FORCE_COLOR = given;
    assert.ok(lines.every((line) => textWidth(stripVTControlCharacters(line)) <= 15));
    assert.ok(lines.includes('\u001b[1mCONTAINER      \u001b[22m'), lines.join('\n'));
    assert.ok(lines.includes('日本日本日本日'), lines.join('\n'));
  });
});

describe('tables of what goes on', () => {
  it('show who is connected to whom', () => {
    const inbound: Flow = {
      ...FLOW,
      direction: 'in',
      host: '127.0.0.1:8080',
      destination: ':80',
      container: 'web',
      state: 'half-closed',
      source: 'agent',
    };
    const lines = connectionTable([inbound, { ...FLOW, name: 'example.org' }], 5000).split('\n');
    assert.match(
      lines[1] ?? '',
      /^tcp +10\.0\.2\.100:5 +web :80 +127\.0\.0\.1:8080 +5s +0B +0B +half-closed +not kept$/,
    );
    assert.match(lines[2] ?? '', /^tcp +10\.0\.2\.100:5 +example\.org \(192\.0\.2\.1:443\) +5s +0B +0B +open$/);
  });

  it('have the columns and fields of docker', () => {
    const usage = { id: 'c'.repeat(64), name: 'web', memory: 5 * 1024 ** 2, received: 1200, sent: 0 };
    const options = { before: undefined, interval: 1, noTrunc: false, totalMemory: 1024 ** 3 };
    assert.deepEqual(usageCells(usageRow(usage, options)), [
      'c'.repeat(12),
      'web',
      '--',
      '5MiB / 1GiB',
      '0.49%',
      '1.2kB / 0B',
      '-- / --',
      '--',
    ]);
    const exited = { time: 1_000_123, type: 'container-exited', container: 'web', id: 'c1', exitCode: 3 } as const;
    assert.equal(eventLine(exited), '1970-01-01T00:16:40.123Z container die c1 (exitCode=3, name=web)');
    const view = JSON.parse(JSON.stringify(eventView(exited)));
    assert.deepEqual(view.Actor, { ID: 'c1', Attributes: { exitCode: '3', name: 'web' } });
  });
});
