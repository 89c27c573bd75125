import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CNIOptions } from '../../../../../child/container/network/cni/executor/chain.js';
import type {
  AttachmentId,
  CNIResult,
  ConfList,
  PluginConf,
  Runtime,
} from '../../../../../child/container/network/cni/executor/types.js';
import { programPath, type RunningStack, type Started, startStack, tempDir } from '../../../../support/index.js';

const id: AttachmentId = { containerId: 'c1', ifname: 'eth0' };

interface Answer {
  value?: unknown;
  error?: { code: number; message: string };
}

/** A bridge with addresses from a directory of the test's own. */
function bridge(dataDir: string, more: Record<string, unknown> = {}): PluginConf {
  return {
    type: 'bridge',
    bridge: 'cni9',
    isGateway: true,
    ipam: {
      type: 'host-local',
      dataDir,
      ranges: [[{ subnet: '10.77.0.0/24' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
    ...more,
  };
}

const list = (plugins: PluginConf[]): ConfList => ({ cniVersion: '1.0.0', name: 'net9', plugins });

/** A stack with containers' network namespaces, and the executor running in it. */
class Inside implements AsyncDisposable {
  readonly #stack: RunningStack;
  readonly #containers: Started[] = [];
  readonly dataDir = tempDir();
  readonly options: CNIOptions = { pluginDirs: ['/usr/lib/cni'], cacheDir: tempDir() };

  private constructor(stack: RunningStack) {
    this.#stack = stack;
  }

  static async start(): Promise<Inside> {
    return new Inside(await startStack());
  }

  /** Makes a network namespace; its path. */
  async container(): Promise<string> {
    const command = ['unshare', '--net', 'sh', '-c', 'echo ready; exec sleep infinity'];
    const started = await this.#stack.inside(command, { output: /^ready$/m });
    this.#containers.push(started);
    return `/proc/${started.pid}/ns/net`;
  }

  async cni(verb: string, ...args: unknown[]): Promise<Answer> {
    const operation = JSON.stringify({ options: this.options, verb, args });
    const { code, stdout, stderr } = await this.#stack.enter(process.execPath, programPath('cni-run'), operation);
    assert.deepEqual([code, stderr], [0, '']);
    return JSON.parse(stdout) as Answer;
  }

  async add(network: ConfList, runtime: Runtime): Promise<CNIResult> {
    const { value, error } = await this.cni('add', network, id, runtime);
    assert.equal(error, undefined);
    return value as CNIResult;
  }

  /** What a program inside prints; in a container's namespace where one is named. */
  async output(netns: string, ...command: string[]): Promise<string> {
    const words = netns === '' ? command : ['nsenter', `--net=${netns}`, ...command];
    const { code, stdout, stderr } = await this.#stack.enter(...words);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** Addresses that are given out, with who has them. */
  reservations(network = 'net9'): Record<string, string> {
    const dir = join(this.dataDir, network);
    const addresses = existsSync(dir) ? readdirSync(dir).filter((name) => /^[\d.]+$/.test(name)) : [];
    return Object.fromEntries(addresses.map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
  }

  cached(): string[] {
    const dir = join(this.options.cacheDir, 'results');
    return existsSync(dir) ? readdirSync(dir) : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const container of this.#containers) await container[Symbol.asyncDispose]();
    await this.#stack[Symbol.asyncDispose]();
  }
}

const plain = (netns: string): Runtime => ({ netns, args: {}, capabilityArgs: {} });

describe('CNI with real plugins', () => {
  it('makes an interface with an address, checks it, and removes it as often as requested', async () => {
    await using inside = await Inside.start();
    const netns = await inside.container();
    const network = list([bridge(inside.dataDir)]);
    const result = await inside.add(network, plain(netns));
    assert.deepEqual([result.cniVersion, result.ips?.length], ['1.0.0', 1]);
    const [ip] = result.ips ?? [];
    assert.deepEqual([ip?.address, ip?.gateway], ['10.77.0.2/24', '10.77.0.1']);
    assert.equal(result.interfaces?.[ip?.interface ?? -1]?.name, 'eth0');
    assert.match(await inside.output(netns, 'ip', '-br', 'addr', 'show', 'eth0'), / UP .*10\.77\.0\.2\/24/);
    assert.match(await inside.output(netns, 'ip', 'route'), /^default via 10\.77\.0\.1 dev eth0/);
    assert.deepEqual(inside.reservations(), { '10.77.0.2': 'c1\r\neth0' });
    assert.deepEqual(inside.cached(), ['net9-c1-eth0']);

    assert.deepEqual(await inside.cni('check', network, id, plain(netns)), {});
    const again = await inside.cni('add', network, id, plain(netns));
    assert.match(again.error?.message ?? '', /is in network net9 as eth0 already/);
    await inside.output(netns, 'ip', 'addr', 'del', '10.77.0.2/24', 'dev', 'eth0');
    const { error } = await inside.cni('check', network, id, plain(netns));
    assert.match(error?.message ?? '', /^CNI plugin bridge: .*10\.77\.0\.2.*\(code \d+\)$/);

    for (const _time of [1, 2]) {
      assert.deepEqual(await inside.cni('del', network, id, plain(netns)), {});
      assert.doesNotMatch(await inside.output(netns, 'ip', '-br', 'link'), /eth0/);
      assert.deepEqual([inside.reservations(), inside.cached()], [{}, []]);
    }
  });

  it('releases an address if the namespace is gone', async () => {
    await using inside = await Inside.start();
    const network = list([bridge(inside.dataDir)]);
    await inside.add(network, plain(await inside.container()));
    assert.deepEqual(await inside.cni('del', network, id, plain('')), {});
    assert.deepEqual([inside.reservations(), inside.cached()], [{}, []]);
  });

  it('runs a chain: rules for ports and a MAC address come with ADD, and go with DEL', async () => {
    await using inside = await Inside.start();
    const netns = await inside.container();
    const network = list([
      { type: 'loopback' },
      bridge(inside.dataDir, { ipMasq: true }),
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'firewall' },
      { type: 'tuning', capabilities: { mac: true }, dataDir: tempDir() },
    ]);
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '127.0.0.2' }];
    const mac = '02:11:22:33:44:55';
    const rules = async () => inside.output('', 'iptables-save');
    const result = await inside.add(network, { netns, args: {}, capabilityArgs: { portMappings, mac } });
    assert.equal(result.interfaces?.find(({ sandbox, name }) => sandbox && name === 'eth0')?.mac, mac);
    assert.match(await inside.output(netns, 'ip', 'link', 'show', 'eth0'), /ether 02:11:22:33:44:55 /);
    const added = await rules();
    assert.match(added, /-d 127\.0\.0\.2\/32 .*--dport 8080 -j DNAT --to-destination 10\.77\.0\.2:80$/m);
    assert.match(added, /-A CNI-FORWARD -s 10\.77\.0\.2\/32 -j ACCEPT/);
    // Without the arguments: they are in the attachment.
    assert.deepEqual(await inside.cni('del', network, id, plain(netns)), {});
    const left = await rules();
    assert.doesNotMatch(left, /10\.77\.0\.2|8080/);
    assert.deepEqual([inside.reservations(), inside.cached()], [{}, []]);
  });

  it('leaves nothing of an ADD that fails half-way', async () => {
    await using inside = await Inside.start();
    const netns = await inside.container();
    const network = list([
      bridge(inside.dataDir),
      { type: 'firewall' },
      { type: 'tuning', sysctl: { 'net.ipv4.no_such_key': '1' } },
    ]);
    const { error } = await inside.cni('add', network, id, plain(netns));
    assert.match(error?.message ?? '', /^CNI plugin tuning: .*no_such_key.*\(code 999\)$/);
    assert.doesNotMatch(await inside.output(netns, 'ip', '-br', 'link'), /eth0/);
    assert.doesNotMatch(await inside.output('', 'iptables-save'), /10\.77\.0\.2/);
    assert.deepEqual([inside.reservations(), inside.cached()], [{}, []]);
  });

  it('cleans up what containers that are gone have left', async () => {
    await using inside = await Inside.start();
    const network = list([bridge(inside.dataDir)]);
    await inside.add(network, plain(await inside.container()));
    const other = { containerId: 'c2', ifname: 'eth0' };
    assert.equal((await inside.cni('add', network, other, plain(await inside.container()))).error, undefined);
    assert.deepEqual(await inside.cni('gc', network, [other]), {});
    assert.deepEqual([inside.reservations(), inside.cached()], [{ '10.77.0.3': 'c2\r\neth0' }, ['net9-c2-eth0']]);
  });

  it('passes on what plugins report about themselves and about unsupported versions', async () => {
    await using inside = await Inside.start();
    const { value } = await inside.cni('version', 'bridge');
    const { supportedVersions } = value as { supportedVersions: string[] };
    assert(supportedVersions.includes('1.0.0'), String(supportedVersions));
    if (supportedVersions.includes('1.1.0')) return;
    const { error } = await inside.cni('status', { ...list([bridge(inside.dataDir)]), cniVersion: '1.1.0' });
    assert.match(error?.message ?? '', /^CNI plugin bridge: .*\(code [134]\)$/);
  });
});
