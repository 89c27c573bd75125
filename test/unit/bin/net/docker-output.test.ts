import assert from 'node:assert/strict';
import { formatColumns } from '../../../../bin/common/table.js';
import { CONTAINER_FILTERS, REFUSED_CONTAINER_FILTERS } from '../../../../bin/net/docker/container-filters.js';
import {
  CONTAINER_COLUMNS,
  containerCells,
  containerRow,
  statusText,
} from '../../../../bin/net/docker/container-row.js';
import { containerView, networkId } from '../../../../bin/net/docker/container-view.js';
import { parseFilters } from '../../../../bin/net/docker/filters.js';
import { type Format, parseInspectFormat, parseListFormat } from '../../../../bin/net/docker/format.js';
import { NETWORK_FILTERS, networkRow, networkView, PSEUDO_NETWORKS } from '../../../../bin/net/docker/network-row.js';
import { hostPorts, portLines, portsText } from '../../../../bin/net/docker/ports.js';
import { momentText, spanText } from '../../../../bin/net/docker/time.js';
import type { Struct, Value } from '../../../../bin/net/template/index.js';
import type { ContainerReport, NetworkReport } from '../../../../protocol/containers/types.js';
import { type CNIPortMapping, mappingOf } from '../../../../protocol/ports/cni-json.js';
import { printableLines } from '../../../../protocol/text/printable-text.js';

const NOW = Date.parse('2026-11-29T10:00:00Z');
const ID = '0123456789ab'.padEnd(64, 'c');

const port = (hostPort: number, containerPort: number, change: Partial<CNIPortMapping> = {}): CNIPortMapping => ({
  hostIP: '127.0.0.2',
  hostPort,
  containerPort,
  protocol: 'tcp',
  ...change,
});

const network: NetworkReport = {
  name: 'back',
  id: networkId('back'),
  driver: 'bridge',
  own: true,
  file: '/x',
  created: '2026-11-29T09:00:00.000Z',
  subnets: [
    { subnet: '10.4.1.0/24', gateway: '10.4.1.1' },
    { subnet: 'fd00:1::/64', gateway: 'fd00:1::1' },
  ],
  internal: false,
  labels: { a: '1' },
  containers: { [ID]: { name: 'web', mac: '02:00:00:00:00:02', ips: ['10.4.1.2/24', 'fd00:1::2/64'] } },
  conflist: { plugins: [{ type: 'bridge', mtu: 1400 }] },
};

function container(change: Partial<ContainerReport> = {}, request: Partial<ContainerReport['request']> = {}) {
  return {
    id: ID,
    name: 'web',
    status: 'running',
    pid: 42,
    created: '2026-11-29T09:54:00.000Z',
    started: '2026-11-29T09:55:00.000Z',
    hostname: 'web',
    ports: [],
    attachments: [
      { network: 'back', interface: 'eth0', mac: '02:00:00:00:00:02', ips: ['10.4.1.2/24', 'fd00:1::2/64'] },
    ],
    results: { back: { ips: [{ gateway: '10.4.1.1' }, { gateway: 'fd00:1::1' }] } },
    directory: '/data/x',
    request: {
      rootfs: '/root',
      command: ['sleep', '1000'],
      labels: { 'com.example/tier': 'front' },
      mounts: [{ type: 'bind', source: '/src', target: '/dst', options: ['ro'] }],
      env: ['A=b'],
      network: { mode: 'networks', networks: [{ network: 'back', aliases: ['alias'] }] },
      publish: [{ hostIP: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      ...request,
    },
    ...change,
  } as unknown as ContainerReport;
}

function render(format: Format, value: Value): string {
  assert(format.kind === 'template');
  return format.template.render(value);
}

describe('output in docker form', () => {
  for (const [what, ports, text] of [
    ['one', [port(80, 8080)], '127.0.0.2:80->8080/tcp'],
    ['every address', [port(80, 80, { hostIP: '' })], '0.0.0.0:80->80/tcp, [::]:80->80/tcp'],
    ['every address of one family', [port(80, 80, { hostIP: '0.0.0.0' })], '0.0.0.0:80->80/tcp'],
    ['IPv6', [port(80, 80, { hostIP: '::1' })], '[::1]:80->80/tcp'],
    ['consecutive ones', [port(80, 8080), port(81, 8081), port(82, 8082)], '127.0.0.2:80-82->8080-8082/tcp'],
    ['a range', [port(80, 8080, { count: 3 })], '127.0.0.2:80-82->8080-8082/tcp'],
    ['a gap on the host', [port(80, 80), port(82, 81)], '127.0.0.2:80->80/tcp, 127.0.0.2:82->81/tcp'],
    ['two protocols', [port(80, 80), port(81, 81, { protocol: 'udp' })], '127.0.0.2:80->80/tcp, 127.0.0.2:81->81/udp'],
  ] as const) {
    it(`shows published ports: ${what}`, () => {
      assert.equal(portsText(ports.map(mappingOf)), text);
    });
  }

  it('shows the ports of a container as docker port does', () => {
    const report = container({ ports: [port(8080, 80, { hostIP: '' }), port(53, 53, { protocol: 'udp' })] });
    assert.deepEqual(portLines(report, undefined), [
      '80/tcp -> 0.0.0.0:8080',
      '80/tcp -> [::]:8080',
      '53/udp -> 127.0.0.2:53',
    ]);
    for (const text of ['80', '80/tcp', '80/TCP']) {
      assert.deepEqual(portLines(report, text), ['0.0.0.0:8080', '[::]:8080']);
    }
    assert.deepEqual(hostPorts(port(1, 1, { hostIP: '::1' })), ['[::1]:1']);
    assert.throws(() => portLines(report, '80/udp'), { message: "no public port '80/udp' published for web" });
    for (const text of ['', 'http', '80/sctp', '80/', '-1', '8 0']) {
      assert.throws(() => portLines(report, text), {
        message: `invalid port ${JSON.stringify(text)}: expected containerPort[/proto], such as 80/tcp`,
      });
    }
  });

  it('formats elapsed time as docker does', () => {
    const second = 1000;
    const hour = 3600 * second;
    for (const [span, text] of [
      [999, 'Less than a second'],
      [1000, '1 second'],
      [59 * second, '59 seconds'],
      [60 * second, 'About a minute'],
      [119 * second, 'About a minute'],
      [120 * second, '2 minutes'],
      [59 * 60 * second, '59 minutes'],
      [hour, 'About an hour'],
      [2 * hour, '2 hours'],
      [47 * hour, '47 hours'],
      [48 * hour, '2 days'],
      [14 * 24 * hour, '2 weeks'],
      [60 * 24 * hour, '2 months'],
      [730 * 24 * hour, '2 years'],
    ] as const) {
      assert.equal(spanText(span), text);
    }
    assert.equal(momentText('2026-11-29T09:14:06.123Z'), '2026-11-29 09:14:06 +0000 UTC');
  });

  it('has the status of docker', () => {
    assert.equal(statusText(container(), NOW), 'Up 5 minutes');
    assert.equal(statusText(container({ status: 'created' }), NOW), 'Created');
    const finished = '2026-11-29T09:59:57.000Z';
    assert.equal(statusText(container({ status: 'exited', exitCode: 0, finished }), NOW), 'Exited (0) 3 seconds ago');
    assert.equal(statusText(container({ status: 'exited', finished }), NOW), 'Exited (unknown) 3 seconds ago');
  });

  it('has the columns of docker ps, with the networks before the names', () => {
    const report = container({ ports: [port(80, 80)] });
    const table = formatColumns([CONTAINER_COLUMNS, containerCells(report, { now: NOW, noTrunc: false })]);
    assert.equal(
      table.replaceAll(/ {3,}/g, ' | '),
      [
        'CONTAINER ID | IMAGE | COMMAND | CREATED | STATUS | PORTS | NETWORKS | NAMES',
        '0123456789ab | /root | "sleep 1000" | 6 minutes ago | Up 5 minutes | 127.0.0.2:80->80/tcp | back:10.4.1.2/24,fd00:1::2/64 | web',
        '',
      ].join('\n'),
    );
  });

  it('cuts commands and paths short, unless requested otherwise, and shows them in one line whatever they contain', () => {
    const rootfs = `/home/somebody/${'x'.repeat(40)}/rootfs`;
    const report = container({}, { command: ['sh', '-c', 'a\n\tb\x1b[31m and more'], rootfs });
    const [, image, command] = containerCells(report, { now: NOW, noTrunc: false });
    assert.deepEqual([command, image], ['"sh -c a b [31m and …"', `…${'x'.repeat(24)}/rootfs`]);
    const row = containerRow(report, { now: NOW, noTrunc: true });
    assert.deepEqual([row.ID, row.Image], [ID, rootfs]);
    assert.equal(formatColumns([['\x1b[31mx\ny']]), ' [31mx y\n');
    assert.equal(printableLines('a\tb\nc\x1b[31m\u202e'), 'a\tb\nc [31m ');
  });

  it('has the fields of docker ps for --format', () => {
    const row = containerRow(container({ ports: [port(80, 80)] }), { now: NOW, noTrunc: false });
    for (const [template, text] of [
      ['{{.ID}} {{.Names}} {{.Status}} {{.State}}', '0123456789ab web Up 5 minutes running'],
      ['{{.Ports}}|{{.Networks}}|{{.Mounts}}', '127.0.0.2:80->80/tcp|back|/src'],
      ['{{.Label "com.example/tier"}}|{{.Labels}}|{{.Label "x"}}', 'front|com.example/tier=front|'],
      ['{{.CreatedAt}} {{.RunningFor}}', '2026-11-29 09:54:00 +0000 UTC 6 minutes ago'],
      ['{{json .Names}}\\t{{.Command}}\\n', '"web"\t"sleep 1000"\n'],
    ] as const) {
      assert.equal(render(parseListFormat(template), row), text);
    }
    assert.equal(parseListFormat('json').kind, 'json');
    assert.equal(parseListFormat('table').kind, 'table');
    const table = parseListFormat('table {{.Names}}\\t{{.Label "com.example/tier"}}');
    assert(table.kind === 'table-template');
    assert.equal(table.template.render(row), 'web\tfront');
    assert.throws(() => parseListFormat('{{.Names'), {
      message: 'invalid --format "{{.Names": an action is not closed by }}',
    });
  });

  it('has the fields of docker inspect', () => {
    const view = containerView(container({ ports: [port(8080, 80, { hostIP: '' })] }));
    for (const [template, text] of [
      ['{{.NetworkSettings.IPAddress}}', '10.4.1.2'],
      ['{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', '10.4.1.2'],
      ['{{.NetworkSettings.Networks.back.GlobalIPv6Address}}', 'fd00:1::2'],
      [
        '{{with .NetworkSettings.Networks.back}}{{.Gateway}} {{.IPv6Gateway}} {{.IPPrefixLen}}{{end}}',
        '10.4.1.1 fd00:1::1 24',
      ],
      ['{{.NetworkSettings.Networks.back.NetworkID}}', networkId('back')],
      ['{{join .NetworkSettings.Networks.back.Aliases ","}}', 'alias'],
      ['{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}', 'back'],
      ['{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080'],
      ['{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{(index $c 1).HostIp}}{{end}}', '80/tcp -> ::'],
      ['{{json .HostConfig.PortBindings}}', '{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}'],
      ['{{.State.Pid}} {{.State.Running}} {{.State.Status}} {{.State.ExitCode}}', '42 true running 0'],
      ['{{.Name}} {{.Id}} {{.ID}}', `/web ${ID} ${ID}`],
      ['{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}', 'none'],
      ['{{(index (index .HostConfig.PortBindings "80/tcp") 0).HostPort}}', '8080'],
      ['{{(index .NetworkSettings.Ports "80/tcp" 0).HostIP}} {{.HostConfig.DNS}}', '0.0.0.0 []'],
      ['{{.GraphDriver.Data.MergedDir}} {{.HostConfig.Memory}} {{.Config.StopSignal}}', '/root 0 '],
      ['{{.Config.Labels}} {{index .Config.Labels "com.example/tier"}}', 'map[com.example/tier:front] front'],
      ['{{range .Config.Env}}{{println .}}{{end}}', 'A=b\n'],
      ['{{range .Mounts}}{{.Source}}:{{.Destination}} {{.RW}}{{end}}', '/src:/dst false'],
      ['{{.Path}} {{.Args}} {{json .Config.Cmd}}', 'sleep [1000] ["sleep","1000"]'],
      ['{{if .State.Running}}up{{else}}down{{end}}\\n', 'up\\n'],
      ['{{json .State}}', JSON.stringify((view as Struct).State)],
    ] as const) {
      assert.equal(render(parseInspectFormat(template), view), text);
    }
    const none = containerView(container({ attachments: [] }, { network: { mode: 'none' } }));
    const networks = '{{range $n, $c := .NetworkSettings.Networks}}{{$n}} {{$c.Aliases}} {{$c.IPAddress}}{{end}}';
    assert.equal(render(parseInspectFormat(networks), none), 'none <nil> ');
    const ended = containerView(container({ status: 'exited', reason: 'its monitor was lost' }));
    assert.equal(render(parseInspectFormat('{{.State.ExitCode}} {{.State.Error}}'), ended), '-1 its monitor was lost');
    const { pid: _, ...stopped } = container({ status: 'exited', attachments: [], results: {} });
    const without = containerView(stopped as ContainerReport);
    assert.equal(
      render(
        parseInspectFormat('{{.State.Pid}}|{{.NetworkSettings.IPAddress}}|{{len .NetworkSettings.Networks}}'),
        without,
      ),
      '0||1',
    );
  });

  it('has the fields of docker network inspect and ls', () => {
    for (const [template, text] of [
      ['{{(index .IPAM.Config 0).Subnet}}', '10.4.1.0/24'],
      ['{{range .IPAM.Config}}{{.Gateway}} {{end}}', '10.4.1.1 fd00:1::1 '],
      ['{{.ID}} {{.Scope}} {{.Driver}} {{.EnableIPv6}}', `${networkId('back')} local bridge true`],
      ['{{range $id, $c := .Containers}}{{$c.Name}} {{$c.IPv4Address}}{{end}}', 'web 10.4.1.2/24'],
      ['{{index .Options "com.docker.network.driver.mtu"}} {{.Labels.a}}', '1400 1'],
    ] as const) {
      assert.equal(render(parseInspectFormat(template), networkView(network)), text);
    }
    const row = networkRow(network, { noTrunc: false });
    const format = parseListFormat('{{.ID}} {{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Label "a"}}');
    assert.equal(render(format, row), `${networkId('back').slice(0, 12)} back bridge local true false 1`);
  });

  for (const [filters, expected] of [
    [[], ['web', 'db', 'old']],
    [['name=^web$'], ['web']],
    [['name=^/web$'], ['web']],
    [['name=b'], ['web', 'db']],
    [
      ['name=web', 'name=old'],
      ['web', 'old'],
    ],
    [['id=^0123'], ['web']],
    [['label=com.example/tier'], ['web', 'db']],
    [['label=com.example/tier=front'], ['web']],
    [['label=com.example/tier', 'label=x'], ['db']],
    [['status=exited'], ['old']],
    [
      ['status=exited', 'status=running'],
      ['web', 'db', 'old'],
    ],
    [['status=exited', 'name=web'], []],
    [['exited=3'], ['old']],
    [['exited=0'], []],
    [['network=back'], ['web', 'old']],
    [[`network=${networkId('back').slice(0, 12)}`], ['web', 'old']],
    [['network=none'], ['db']],
    [['publish=8080'], ['web']],
    [['publish=8000-9000/tcp'], ['web']],
    [['publish=8080/udp'], []],
    [['expose=80'], ['web', 'db', 'old']],
    [['volume=/dst'], ['web', 'db', 'old']],
    [['before=old'], ['web', 'db']],
    [['since=web'], ['db', 'old']],
  ] as const) {
    it(`filters containers by ${filters.join(' ') || 'nothing'}`, () => {
      const all = [
        container({ ports: [port(8080, 80)] }),
        container(
          { id: 'f'.repeat(64), name: 'db', created: '2026-11-29T09:55:00.000Z' },
          { labels: { 'com.example/tier': 'back', x: '' }, network: { mode: 'none' } },
        ),
        container(
          { id: 'e'.repeat(64), name: 'old', status: 'exited', exitCode: 3, created: '2026-11-29T09:56:00.000Z' },
          { labels: {} },
        ),
      ];
      const parsed = parseFilters(filters, CONTAINER_FILTERS, { refused: REFUSED_CONTAINER_FILTERS });
      assert.deepEqual(
        parsed.select(all).map(({ name }) => name),
        expected,
      );
    });
  }

  for (const [text, problem] of [
    ['name', 'expected NAME=VALUE'],
    ['=x', 'expected NAME=VALUE'],
    ['name=(', 'expected a regular expression'],
    ['status=up', 'expected one of created, restarting, running, removing, paused, exited, dead'],
    ['exited=x', 'expected an exit code'],
    ['publish=http', 'expected PORT[-PORT][/tcp|udp]'],
    ['ancestor=nginx', 'containers run from directories, not from images; hint: --filter label=NAME=value'],
    ['health=healthy', 'health checks are not supported'],
    [
      'toString=1',
      'unknown filter tostring; known are before, exited, expose, id, label, name, network, publish, since, status, volume',
    ],
  ] as const) {
    it(`refuses the filter ${text}`, () => {
      assert.throws(() => parseFilters([text], CONTAINER_FILTERS, { refused: REFUSED_CONTAINER_FILTERS }), {
        message: `invalid --filter ${JSON.stringify(text)}: ${problem}`,
      });
    });
  }

  for (const [filters, expected] of [
    [['name=ba'], ['back']],
    [['driver=bridge'], ['back', 'bridge']],
    [['type=builtin'], ['bridge', 'host', 'none']],
    [['type=custom'], ['back']],
    [['dangling=true'], []],
    [['dangling=false'], ['back']],
    [['scope=local', 'label=a=1'], ['back']],
    [['scope=swarm'], []],
    [[`id=${networkId('host').slice(0, 9)}`], ['host']],
  ] as const) {
    it(`filters networks by ${filters.join(' ')}`, () => {
      const reports = [
        network,
        { ...network, name: 'bridge', id: networkId('bridge'), labels: {} },
        ...PSEUDO_NETWORKS,
      ];
      const all = reports.map((report) => ({ report, users: report.name === 'back' ? [container()] : [] }));
      const selected = parseFilters(filters, NETWORK_FILTERS).select(all);
      assert.deepEqual(
        selected.map(({ report }) => report.name),
        expected,
      );
    });
  }
});
