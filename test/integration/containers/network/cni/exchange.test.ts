import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CNIResult, ConfList } from '../../../../../child/container/network/cni/executor/types.js';
import type { NetworkReport } from '../../../../../protocol/containers/types.js';
import { programPath, tempDir } from '../../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  startContainer,
  startContainerStack,
} from '../../../../support/stacks/containers.js';
import { withContainerStack, withStack } from '../../../../support/stacks/with-stack.js';

/** What another runtime passes to plugins for one of its containers. */
interface Theirs {
  id: string;
  /** Path of its network namespace. */
  netns: string;
  args?: string;
  runtimeConfig?: Record<string, unknown>;
}

/**
 * Another CNI runtime in the stack's namespaces: as the specification has it, and with the real plugins. It knows nothing
 * but the network's file.
 */
class OtherRuntime {
  readonly #results = new Map<string, CNIResult>();

  constructor(private readonly stack: ContainerStack) {}

  /** Makes a network namespace, in which nothing runs. */
  async namespace(): Promise<string> {
    const netns = join(tempDir(), 'netns');
    writeFileSync(netns, '');
    await this.#output('unshare', `--net=${netns}`, 'ip', 'link', 'set', 'lo', 'up');
    return netns;
  }

  /** What a program prints in a container's namespace. */
  inside({ netns }: Theirs, ...command: string[]): Promise<string> {
    return this.#output('nsenter', `--net=${netns}`, ...command);
  }

  async add(file: string, theirs: Theirs): Promise<CNIResult> {
    const list = readList(file);
    let result: CNIResult | undefined;
    for (const plugin of list.plugins) result = await this.#run('ADD', list, plugin, theirs, result);
    assert(result);
    this.#results.set(theirs.id, result);
    return result;
  }

  async check(file: string, theirs: Theirs): Promise<void> {
    const list = readList(file);
    for (const plugin of list.plugins) await this.#run('CHECK', list, plugin, theirs, this.#results.get(theirs.id));
  }

  async del(file: string, theirs: Theirs): Promise<void> {
    const list = readList(file);
    for (const plugin of list.plugins.toReversed()) {
      await this.#run('DEL', list, plugin, theirs, this.#results.get(theirs.id));
    }
  }

  async #run(
    verb: string,
    { name, cniVersion }: ConfList,
    { capabilities = {}, ...plugin }: ConfList['plugins'][number],
    { id, netns, args = '', runtimeConfig = {} }: Theirs,
    prevResult: CNIResult | undefined,
  ): Promise<CNIResult | undefined> {
    const capable = Object.fromEntries(Object.entries(runtimeConfig).filter(([key]) => capabilities[key]));
    const input = JSON.stringify({ ...plugin, name, cniVersion, runtimeConfig: capable, prevResult });
    const env = [`CNI_COMMAND=${verb}`, `CNI_CONTAINERID=${id}`, `CNI_NETNS=${netns}`, 'CNI_IFNAME=eth0'];
    const words = ['env', ...env, `CNI_ARGS=${args}`, 'CNI_PATH=/usr/lib/cni', `/usr/lib/cni/${plugin.type}`];
    const { code, stdout } = await this.stack.enter(words, { input });
    if (code !== 0) throw new Error(`${verb} ${plugin.type}: ${stdout}`);
    return stdout === '' ? undefined : (JSON.parse(stdout) as CNIResult);
  }

  async #output(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.stack.enter(command);
    assert.equal(code, 0, stderr);
    return stdout;
  }
}

const readList = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as ConfList;
const on = (network: string, ip?: string) => ({ mode: 'networks' as const, networks: [{ network, ip }] });
const plain = (cidr = '') => cidr.replace(/\/.*$/, '');

describe('an own network that another CNI runtime uses', () => {
  const stack = withContainerStack({ keep: true });
  let other: OtherRuntime;
  before(async () => {
    other = new OtherRuntime(stack);
  });
  const create = async (...words: string[]): Promise<string> => {
    const id = await stack.must('network', 'create', ...words);
    const [report] = JSON.parse(await stack.must('network', 'inspect', '--mode=native', id)) as NetworkReport[];
    return report?.file ?? '';
  };
  const rules = async () => (await stack.enter(['iptables-save'])).stdout;

  for (const [name, options, addresses] of [
    ['plain', [], [/^10\.4\.\d+\.\d+\/24$/]],
    ['dual', ['--ipv6', '--subnet', '10.97.1.0/24', '--opt', 'mtu=1400'], [/^10\.97\.1\.\d+\/24$/, /^fd.*\/64$/]],
    ['inner', ['--internal'], [/^10\.4\.\d+\.\d+\/24$/]],
  ] as const) {
    it(`joins its containers and own ones: ${name}`, async () => {
      const file = await create(...options, name);
      const theirs: Theirs = { id: `other-${name}`, netns: await other.namespace() };
      const ours = await startContainer(stack, { name, network: on(name) });
      const { ips = [] } = await other.add(file, theirs);
      assert.equal(ips.length, addresses.length);
      for (const [index, pattern] of addresses.entries()) assert.match(ips[index]?.address ?? '', pattern);
      await other.check(file, theirs);
      for (const [index, cidr] of (ours.attachments[0]?.ips ?? []).entries()) {
        await other.inside(theirs, 'ping', '-c1', '-W5', plain(cidr));
        await execIn(stack, name, 'ping', '-c1', '-W5', plain(ips[index]?.address));
      }
      const routes = await other.inside(theirs, 'ip', 'route');
      assert.equal(/^default via /m.test(routes), name !== 'inner', routes);
      if (name === 'dual') assert.match(await other.inside(theirs, 'ip', 'link', 'show', 'eth0'), / mtu 1400 /);

      await other.del(file, theirs);
      await other.del(file, theirs);
      assert.doesNotMatch(await other.inside(theirs, 'ip', 'link'), /eth0/);
      assert(!(await rules()).includes(`${plain(ips[0]?.address)}/32`));
      assert.equal(await stack.must('network', 'check', name), `${name}: ok`);
      await stack.must('rm', '-f', name);
      await stack.must('network', 'rm', name);
      assert.deepEqual(stack.files(), []);
    });
  }

  it('has no address assigned twice, by whichever allocator', async () => {
    const file = await create('--subnet', '10.97.2.0/29', 'small');
    const [netns, second] = [await other.namespace(), await other.namespace()];
    const first = await other.add(file, { id: 'one', netns });
    assert.equal(first.ips?.[0]?.address, '10.97.2.2/29');
    const asks = await stack.net(
      'run',
      '-d',
      '--net=small',
      '--ip=10.97.2.2',
      `--rootfs=${busyboxRootfs()}`,
      '--',
      'true',
    );
    assert.match(asks.stderr, /^error: requested IP address 10\.97\.2\.2 is not available .* container one has it/);
    const ours = await startContainer(stack, { name: 'small', network: on('small') });
    assert.deepEqual(ours.attachments[0]?.ips, ['10.97.2.3/29']);
    const wanted = { id: 'two', netns: second, args: 'IgnoreUnknown=1;IP=10.97.2.3' };
    await assert.rejects(other.add(file, wanted), /ADD bridge: .*10\.97\.2\.3.*not available/s);
    await other.del(file, wanted);
    // For a container that is there already ADD has to fail, and changes nothing.
    await assert.rejects(other.add(file, { id: 'one', netns }), /ADD bridge: .*already exists/s);
    await assert.rejects(other.add(file, { id: 'one', netns: second }), /ADD bridge: .*duplicate allocation/s);
    await other.add(file, { id: 'two', netns: await other.namespace() });
    assert.match(await stack.must('gc', '--repair'), /^nothing is left over$/);

    // 10.97.2.5 and .6 are left.
    for (const name of ['third', 'fourth']) await startContainer(stack, { name, network: on('small') });
    await assert.rejects(startContainer(stack, { name: 'fifth', network: on('small') }), /no IP addresses available/);
    await other.del(file, { id: 'two', netns: '' });
    assert.deepEqual((await stack.containers.start('fifth')).attachments[0]?.ips, ['10.97.2.4/29']);
    await stack.must('rm', '-f', 'small', 'third', 'fourth', 'fifth');
    await other.del(file, { id: 'one', netns });
    assert.deepEqual(stack.files(), []);
  });

  it('has ports published by the plugin, and removed', async () => {
    const file = await create('ports');
    const netns = await other.namespace();
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
    const theirs = { id: 'ports', netns, runtimeConfig: { portMappings } };
    const { ips } = await other.add(file, theirs);
    assert.match(await rules(), new RegExp(`--dport 8080 -j DNAT --to-destination ${plain(ips?.[0]?.address)}:80`));
    await other.del(file, theirs);
    assert.doesNotMatch(await rules(), /8080/);
  });
});

interface Run {
  type: string;
  env: Record<string, string>;
  stdin: Record<string, unknown>;
}

describe('a network of cniVersion 1.1.0', () => {
  const plugins = tempDir();
  const stack = withStack(async () => {
    const script = `#!/bin/sh\nexec '${process.execPath}' '${programPath('cni-noop')}' "$0"\n`;
    for (const type of ['first', 'second']) writeFileSync(join(plugins, type), script, { mode: 0o755 });
    reply({});
    return startContainerStack({ env: { CNI_PATH: plugins } });
  });
  before(() => {
    mkdirSync(stack.confDir, { recursive: true });
    const put = (name: string, more: object) => {
      const list = {
        cniVersion: '1.1.0',
        name,
        ...more,
        plugins: [{ type: 'first', custom: [1] }, { type: 'second' }],
      };
      writeFileSync(join(stack.confDir, `${name}.conflist`), JSON.stringify(list));
    };
    put('ours', { rootlessNet: { labels: {}, auxAddresses: [], icc: true } });
    put('theirs', {});
  });
  const reply = (replies: Record<string, Record<string, object>>) =>
    writeFileSync(join(plugins, 'replies.json'), JSON.stringify(replies));
  /** The runs with that command since the last time. */
  let seen = 0;
  const runs = (verb: string): Run[] => {
    const file = join(plugins, 'runs.jsonl');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    const all = lines.slice(seen).map((line) => JSON.parse(line) as Run);
    seen = lines.length;
    return all.filter(({ env }) => env.CNI_COMMAND === verb);
  };

  it('has its plugins report their status at network check', async () => {
    assert.equal(await stack.must('network', 'check', 'theirs'), 'theirs: ok');
    const [first, second, ...more] = runs('STATUS');
    assert.deepEqual([first?.type, second?.type, more], ['first', 'second', []]);
    assert.deepEqual(first?.stdin, { type: 'first', custom: [1], name: 'theirs', cniVersion: '1.1.0' });
    const variables = Object.keys(first?.env ?? {}).filter((name) => name.startsWith('CNI_'));
    assert.deepEqual(variables.sort(), ['CNI_COMMAND', 'CNI_PATH']);
    assert.equal(first?.env.CNI_PATH?.split(':')[0], plugins);

    reply({ second: { STATUS: { stdout: { cniVersion: '1.1.0', code: 50, msg: 'no server' }, code: 1 } } });
    const { code, stdout } = await stack.net('network', 'check', 'theirs');
    assert.deepEqual([code, stdout], [1, 'theirs: theirs: CNI plugin second: no server (code 50)\n']);
    reply({});
  });

  it('has the attachments passed to its plugins at gc, if it is an own network', async () => {
    const ips = [{ address: '10.98.0.2/24' }];
    reply({ first: { ADD: { stdout: { cniVersion: '1.1.0', ips } } } });
    const { id, attachments } = await startContainer(stack, { name: 'on-ours', network: on('ours') });
    assert.deepEqual(attachments[0]?.ips, ['10.98.0.2/24']);
    await startContainer(stack, { name: 'on-theirs', network: on('theirs') });
    assert.equal(await stack.must('network', 'check', 'ours'), 'ours: ok');
    assert.deepEqual(
      runs('CHECK').map(({ stdin }) => (stdin.prevResult as CNIResult).ips),
      [ips, ips],
    );
    assert.equal(await stack.must('gc', '--repair'), 'nothing is left over');
    const valid = [{ containerID: id, ifname: 'eth0' }];
    assert.deepEqual(
      runs('GC').map(({ type, stdin }) => [type, stdin.name, stdin['cni.dev/valid-attachments']]),
      [
        ['first', 'ours', valid],
        ['second', 'ours', valid],
      ],
    );
  });

  it('has DEL in reverse when its container ends', async () => {
    await stack.must('rm', '-f', 'on-ours', 'on-theirs');
    assert.deepEqual(
      runs('DEL').map(({ type, stdin }) => [type, stdin.name]),
      [
        ['second', 'ours'],
        ['first', 'ours'],
        ['second', 'theirs'],
        ['first', 'theirs'],
      ],
    );
    assert.deepEqual(stack.files(), []);
  });
});
