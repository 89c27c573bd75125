import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  AttachmentRequest,
  ContainerNetwork,
  ContainerReport,
  NetworkReport,
} from '../../../../../protocol/containers/types.js';
import { freePort, run, waitFor } from '../../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  kill,
  startContainer,
  startContainerStack,
  WEB,
} from '../../../../support/stacks/containers.js';

/** A network as nerdctl writes it to its directory. */
function nerdctlList(name: string, subnet: string) {
  return {
    cniVersion: '1.0.0',
    name,
    nerdctlID: 'f'.repeat(64),
    nerdctlLabels: { owner: 'nerdctl' },
    plugins: [
      {
        type: 'bridge',
        bridge: `br-${name}`,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet, gateway: subnet.replace(/0\/24$/, '1') }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'firewall', ingressPolicy: 'same-bridge', backend: 'iptables' },
      { type: 'tuning' },
    ],
  };
}

function putList({ confDir }: ContainerStack, name: string, list: unknown): string {
  const file = join(confDir, name);
  mkdirSync(confDir, { recursive: true });
  writeFileSync(file, typeof list === 'string' ? list : JSON.stringify(list, undefined, 2));
  return file;
}

const addressOf = ({ attachments }: ContainerReport) => attachments[0]?.ips[0]?.replace(/\/.*$/, '') ?? '';
const on = (network: string, more: Partial<AttachmentRequest> = {}): ContainerNetwork => ({
  mode: 'networks',
  networks: [{ network, ...more }],
});

/** What the kernel has of containers on a network of plugins: their devices, and rules with their addresses. */
async function inKernel(stack: ContainerStack, subnet: string): Promise<string[]> {
  const lines = async (...command: string[]) => (await stack.enter(command)).stdout.split('\n');
  const devices = (await lines('ip', '-br', 'link')).filter((line) => /^(veth|mac)/.test(line));
  const rules = [...(await lines('iptables-save')), ...(await lines('nft', 'list', 'ruleset'))];
  return [...devices, ...rules.filter((line) => line.includes(subnet.replace(/0\/24$/, '')))];
}

/** Addresses that host-local has assigned, in its default directory. */
function reserved(stack: ContainerStack, network: string): string[] {
  const dir = join(stack.home, 'data', 'cni', 'networks', network);
  return existsSync(dir) ? readdirSync(dir).filter((name) => /^[\d.]+$/.test(name)) : [];
}

describe('a network of nerdctl', () => {
  const subnet = '10.91.7.0/24';
  const list = nerdctlList('team', subnet);
  let stack: ContainerStack;
  let file: string;
  before(async () => {
    stack = await startContainerStack();
    file = putList(stack, 'nerdctl-team.conflist', list);
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });
  const startWeb = (port: number) =>
    startContainer(stack, {
      name: 'web',
      command: WEB,
      network: on('team'),
      publish: [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' }],
    });
  const answers = async (port: number, text: string) => {
    const ask = async () => (await run('curl', ['-sS', '--max-time', '5', `127.0.0.2:${port}`])).stdout === `${text}\n`;
    await waitFor(ask, { what: 'an answer on the published port' });
  };

  it('is listed, inspected and checked, and cannot be removed', async () => {
    assert.match(
      await stack.must('network', 'ls'),
      /^\w{12} +team +bridge +local +10\.91\.7\.0\/24 +.*\/nerdctl-team\.conflist$/m,
    );
    assert.equal(await stack.must('network', 'ls', '--format', '{{.Name}}', '--filter', 'label=owner=nerdctl'), 'team');
    const [report] = JSON.parse(await stack.must('network', 'inspect', '--mode=native', 'team')) as NetworkReport[];
    assert.deepEqual(
      [report?.own, report?.file, report?.driver, report?.internal, report?.subnets],
      [false, file, 'bridge', false, [{ subnet, gateway: '10.91.7.1' }]],
    );
    assert.equal(await stack.must('network', 'check', 'team'), 'team: ok');
    const { code, stderr } = await stack.net('network', 'rm', 'team');
    const what = `error: the network team is managed by another program (${file}) and cannot be removed here\n`;
    assert.deepEqual([code, stderr], [1, what]);
  });

  it('is inspected as its file has it', async () => {
    const { conflist } = await stack.containers.inspectNetwork('team');
    assert.deepEqual(conflist, list);
  });

  it('gives an address, peers and published ports, and takes back all but the address until rm', async () => {
    const port = await freePort('127.0.0.2');
    const peer = await startContainer(stack, { name: 'peer', network: on('team') });
    assert.match(await execIn(stack, 'peer', 'ip', '-4', 'addr', 'show', 'eth0'), / inet 10\.91\.7\.2\/24 /);
    assert.match(await execIn(stack, 'peer', 'ip', 'route'), /^default via 10\.91\.7\.1 dev eth0/);
    assert.equal(await stack.must('network', 'check', 'team'), 'team: ok');
    const web = await startWeb(port);
    await answers(port, web.hostname);
    assert.equal(await execIn(stack, 'peer', 'wget', '-qO-', 'http://web/'), `${web.hostname}\n`);
    assert.notDeepEqual(await inKernel(stack, subnet), []);

    await stack.must('stop', 'web', 'peer');
    assert.deepEqual(await inKernel(stack, subnet), []);
    assert.deepEqual(reserved(stack, 'team').sort(), [addressOf(peer), addressOf(web)]);
    // In the other order: each has its own again, not the next.
    await stack.must('start', 'web');
    await stack.must('restart', 'web');
    await answers(port, web.hostname);
    assert.equal(addressOf(await stack.containers.inspect('web')), addressOf(web));
    assert.equal(addressOf(await stack.containers.start('peer')), addressOf(peer));

    await stack.must('rm', '-f', 'web', 'peer');
    assert.deepEqual([await inKernel(stack, subnet), reserved(stack, 'team'), stack.files()], [[], [], []]);
  });

  it('can be combined with others: the first with a route to the outside has the default route', async () => {
    const { plugins, ...rest } = nerdctlList('inner', '10.91.12.0/24');
    const [bridge] = plugins;
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.91.12.0/24' }]] };
    putList(stack, 'nerdctl-inner.conflist', {
      ...rest,
      plugins: [{ ...bridge, isGateway: false, ipMasq: false, ipam }],
    });
    await stack.must('network', 'create', 'own');
    const networks = ['inner', 'team', 'own'].map((network) => ({ network }));
    const { attachments } = await startContainer(stack, { name: 'many', network: { mode: 'networks', networks } });
    assert.deepEqual(
      attachments.map((attachment) => [attachment.interface, attachment.network]),
      [
        ['eth0', 'inner'],
        ['eth1', 'team'],
        ['eth2', 'own'],
      ],
    );
    const routes = await execIn(stack, 'many', 'ip', 'route');
    assert.deepEqual(routes.match(/^default .*/gm), ['default via 10.91.7.1 dev eth1 ']);
    await stack.must('rm', '-f', 'many');
    await stack.must('network', 'rm', 'own');
    assert.deepEqual([reserved(stack, 'inner'), reserved(stack, 'team'), stack.files()], [[], [], []]);
  });

  it('keeps no rules of a container that ends together with the agent', async () => {
    const web = await startWeb(await freePort('127.0.0.2'));
    for (const pid of [...stack.agents(), web.pid]) kill(pid);
    const ended = async () => (await stack.containers.inspect('web').catch(() => web)).status === 'exited';
    await waitFor(ended, { what: 'another agent, which knows of the end' });
    assert.deepEqual(await inKernel(stack, subnet), []);
    await stack.must('rm', 'web');
    assert.deepEqual([reserved(stack, 'team'), stack.files()], [[], []]);
  });

  it('gives the same after everything was killed', async () => {
    const port = await freePort('127.0.0.2');
    const web = await startWeb(port);
    await stack.killAll();
    stack = await startContainerStack({ home: stack.home });
    await waitFor(async () => (await stack.containers.inspect('web')).status === 'exited', { what: 'the end of web' });
    assert.deepEqual(await inKernel(stack, subnet), []);
    const again = await stack.containers.start('web');
    assert.equal(addressOf(again), addressOf(web));
    await answers(port, web.hostname);
    await stack.must('rm', '-f', 'web');
    assert.deepEqual([await inKernel(stack, subnet), reserved(stack, 'team'), stack.files()], [[], [], []]);
  });
});

describe('network configurations that are wrong', () => {
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack();
    putList(stack, 'nerdctl-team.conflist', nerdctlList('team', '10.91.8.0/24'));
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });
  const run = (network: string) =>
    stack.net('run', '--rm', '--net', network, '--rootfs', busyboxRootfs(), '--', 'true');

  const wrong: [file: string, text: string, name: string, what: RegExp][] = [
    ['nerdctl-broken.conflist', '{ "name": "broken"', 'broken', /the network configuration is not JSON: /],
    ['10-empty.conflist', '{ "cniVersion": "1.0.0", "name": "hollow", "plugins": [] }', 'hollow', /plugins is empty$/],
    [
      'future.conflist',
      '{ "cniVersion": "9.0.0", "name": "future", "plugins": [{ "type": "bridge" }] }',
      'future',
      /network future has cniVersion 9\.0\.0; supported are /,
    ],
    ['list.json', '[]', 'list', /invalid network configuration: it is not an object$/],
  ];
  for (const [name, text, network, what] of wrong) {
    it(`are reported in a line to requests for the network: ${name}`, async () => {
      const file = putList(stack, name, text);
      for (const [{ code, stdout, stderr }, expected] of [
        [await run(network), [125, '']],
        // As docker has it.
        [await stack.net('network', 'inspect', network), [1, '[]\n']],
      ] as const) {
        assert.deepEqual([code, stdout], expected);
        const [line = '', ...more] = stderr.trimEnd().split('\n');
        assert.deepEqual(more, []);
        assert(line.startsWith(`error: no such network: ${network}; skipping ${file}: `), line);
        assert.match(line, what);
      }
    });
  }

  it('do not keep other networks from working', async () => {
    assert.deepEqual((await stack.must('network', 'ls', '--format', '{{.Name}}')).split('\n'), [
      'team',
      'host',
      'none',
    ]);
    assert.deepEqual([(await run('team')).code, (await run('bridge')).code], [0, 0]);
  });

  it('may have the name of another one, whose check reports it', async () => {
    const file = putList(stack, 'zz-other.conflist', nerdctlList('team', '10.91.9.0/24'));
    const { code, stdout } = await stack.net('network', 'check', 'team');
    const first = join(stack.confDir, 'nerdctl-team.conflist');
    assert.deepEqual([code, stdout], [1, `team: skipping ${file}: network team is in ${first} already\n`]);
    assert.equal((await run('team')).code, 0);
  });

  it('may name plugins that are not there, which leaves nothing', async () => {
    const { plugins, ...rest } = nerdctlList('odd', '10.91.10.0/24');
    const [bridge, ...others] = plugins;
    for (const [wrongPlugins, what] of [
      [[...plugins, { type: 'no-such-plugin' }], /^error: CNI plugin no-such-plugin: not found in CNI_PATH \(.*\n$/],
      [[{ ...bridge, ipam: { type: 'no-such-ipam' } }, ...others], /^error: CNI plugin bridge: .*no-such-ipam.*\n$/],
      [
        [{ ...bridge, ipam: { type: 'dhcp', daemonSocketPath: '/nowhere' } }],
        /^error: CNI plugin bridge: .*\/nowhere.*\n$/,
      ],
    ] as const) {
      putList(stack, 'odd.conflist', { ...rest, plugins: wrongPlugins });
      const { code, stderr } = await run('odd');
      assert.equal(code, 125);
      assert.match(stderr, what);
      assert.deepEqual([await inKernel(stack, '10.91.10.0/24'), reserved(stack, 'odd'), stack.files()], [[], [], []]);
    }
  });

  it('can become so while a container is there: and is then removed as it was made', async () => {
    const file = putList(stack, 'frail.conflist', nerdctlList('frail', '10.91.11.0/24'));
    for (const name of ['breaks', 'goes']) await startContainer(stack, { name, network: on('frail') });
    putList(stack, 'frail.conflist', '{');
    await stack.must('stop', 'breaks', 'goes');
    assert.deepEqual(await inKernel(stack, '10.91.11.0/24'), []);
    await stack.must('rm', 'breaks');
    rmSync(file);
    await stack.must('rm', 'goes');
    assert.deepEqual([reserved(stack, 'frail'), stack.files()], [[], []]);
  });
});
