import assert from 'node:assert/strict';
import { containerTable } from '../../bin/net-text.js';
import type { ContainerReport, PublishedPort } from '../../protocol/containers.js';

const port = (hostPort: number, containerPort: number, change: Partial<PublishedPort> = {}): PublishedPort => ({
  hostIP: '127.0.0.2',
  hostPort,
  containerPort,
  protocol: 'tcp',
  ...change,
});

/** The one line of a container in the table, with one blank between its cells. */
function line(change: { ports?: PublishedPort[]; command?: string[] }): string {
  const { ports = [], command = ['true'] } = change;
  const report = {
    id: '0'.repeat(64),
    name: 'web',
    status: 'running',
    ports,
    attachments: [],
    request: { command, network: { mode: 'none' } },
  } as unknown as ContainerReport;
  const [, row = '', ...more] = containerTable([report]).split('\n');
  assert.deepEqual(more, [''], 'one line for a container');
  return row.replaceAll(/ +/g, ' ').trim();
}

describe('the table of containers', () => {
  for (const [what, ports, text] of [
    ['one', [port(80, 8080)], '127.0.0.2:80->8080/tcp'],
    ['every address', [port(80, 80, { hostIP: '' })], '*:80->80/tcp'],
    ['IPv6', [port(80, 80, { hostIP: '::1' })], '[::1]:80->80/tcp'],
    ['consecutive ones', [port(80, 8080), port(81, 8081), port(82, 8082)], '127.0.0.2:80-82->8080-8082/tcp'],
    ['a gap on the host', [port(80, 80), port(82, 81)], '127.0.0.2:80->80/tcp, 127.0.0.2:82->81/tcp'],
    ['two protocols', [port(80, 80), port(81, 81, { protocol: 'udp' })], '127.0.0.2:80->80/tcp, 127.0.0.2:81->81/udp'],
  ] as const) {
    it(`shows published ports: ${what}`, () => {
      assert.equal(line({ ports: [...ports] }), `000000000000 web running none ${text} true`);
    });
  }

  it('shows a command in one line, whatever is in it', () => {
    assert.equal(line({ command: ['sh', '-c', 'a\n\tb\x1b[31m'] }), '000000000000 web running none sh -c a b [31m');
  });
});
