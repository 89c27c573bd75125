import assert from 'node:assert/strict';
import { containerCells, containerRow } from '../../../bin/net/docker/container-row.js';
import { containerView } from '../../../bin/net/docker/container-view.js';
import { networkRow, networkView } from '../../../bin/net/docker/network-row.js';
import { isContainerReport, isNetworkReport } from '../../../protocol/api/report-shapes.js';

/** Values that a hostile stack may send in place of any other. */
const STRANGE: readonly unknown[] = [
  null,
  undefined,
  0,
  -1,
  'text',
  true,
  [],
  [null],
  [1],
  [{}],
  {},
  { a: 1 },
  { a: null },
  { toString: 1 },
];

const CONTAINER = {
  id: 'a'.repeat(64),
  name: 'web',
  status: 'running',
  pid: 1,
  created: '2026-11-29T09:54:00.000Z',
  started: '2026-11-29T09:54:00.000Z',
  finished: '2026-11-29T09:54:00.000Z',
  hostname: 'web',
  directory: '/data',
  ports: [{ hostIP: '', hostPort: 80, containerPort: 80, protocol: 'tcp' }],
  attachments: [{ network: 'back', interface: 'eth0', mac: '02:00:00:00:00:02', ips: ['10.4.1.2/24'] }],
  results: { back: { ips: [{ gateway: '10.4.1.1' }] } },
  request: {
    rootfs: '/root',
    command: ['true'],
    labels: { a: '1' },
    env: ['A=b'],
    mounts: [{ type: 'bind', source: '/a', target: '/b', options: ['ro'] }],
    network: { mode: 'networks', networks: [{ network: 'back', ip: '10.4.1.2', aliases: ['x'] }] },
    publish: [{ hostIP: '', hostPort: 80, containerPort: 80, protocol: 'tcp' }],
    dns: ['10.0.0.1'],
    addHosts: [{ host: 'a', ip: '10.0.0.1' }],
    restart: { policy: 'no' },
    ulimits: [{ name: 'nofile', soft: 1, hard: 1 }],
    log: { maxSize: 1, maxFiles: 1 },
  },
};

const NETWORK = {
  id: 'b'.repeat(64),
  name: 'back',
  driver: 'bridge',
  own: true,
  file: '/x',
  created: '2026-11-29T09:00:00.000Z',
  subnets: [{ subnet: '10.4.1.0/24', gateway: '10.4.1.1' }],
  internal: false,
  labels: { a: '1' },
  containers: { a: { name: 'web', mac: '02:00:00:00:00:02', ips: ['10.4.1.2/24'] } },
  conflist: { rootlessNet: { icc: false }, plugins: [{ mtu: 1400 }] },
};

/** Copies in each of which one thing is another. */
function* variants(value: unknown): Generator<unknown> {
  yield* STRANGE;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    for (const other of variants(part)) {
      yield Array.isArray(value) ? Object.assign([...value], { [key]: other }) : { ...value, [key]: other };
    }
  }
}

describe('reports of a stack', () => {
  it('are refused or safe to show for any container that a hostile stack reports', () => {
    assert(isContainerReport(CONTAINER));
    let count = 0;
    for (const variant of variants(CONTAINER)) {
      if (!isContainerReport(variant)) continue;
      count++;
      JSON.stringify(containerView(variant));
      containerRow(variant, { now: 0, noTrunc: true });
      containerCells(variant, { now: 0, noTrunc: false });
    }
    assert(count > 0);
  });

  it('are refused or safe to show for any network that a hostile stack reports', () => {
    assert(isNetworkReport(NETWORK));
    let count = 0;
    for (const variant of variants(NETWORK)) {
      if (!isNetworkReport(variant)) continue;
      count++;
      JSON.stringify(networkView(variant));
      networkRow(variant, { noTrunc: false });
    }
    assert(count > 0);
  });
});
