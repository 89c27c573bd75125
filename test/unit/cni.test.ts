import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CNI } from '../../child/container/cni/chain.js';
import { parseConfList, readConfDir } from '../../child/container/cni/conflist.js';
import { CNIError, CNIErrors, PluginMissingError } from '../../child/container/cni/errors.js';
import { currentResult } from '../../child/container/cni/result.js';
import type { ConfList, PluginConf, Runtime } from '../../child/container/cni/types.js';
import { chosenVersion } from '../../child/container/cni/versions.js';
import { isAlive, programPath, tempDir, waitFor } from '../support/index.js';

type Replies = Record<string, Record<string, { stdout?: unknown; stderr?: string; code?: number }>>;

interface Run {
  type: string;
  env: Record<string, string>;
  stdin: Record<string, unknown>;
}

const id = { containerId: 'c1', ifname: 'eth0' };
const runtime: Runtime = { netns: '/run/netns/c1', args: {}, capabilityArgs: {} };
const result = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/c1' }],
  ips: [{ address: '10.4.0.2/24', gateway: '10.4.0.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0' }],
  dns: {},
};

/** A network of plugins of these types, or as they are given. */
function network(plugins: readonly (string | PluginConf)[], rest: Partial<ConfList> = {}): ConfList {
  const objects = plugins.map((plugin) => (typeof plugin === 'string' ? { type: plugin } : plugin));
  return { cniVersion: '1.0.0', name: 'net1', ...rest, plugins: objects };
}

/** A directory with plugins that note how they are run, and an executor that finds them. */
function plugins(types: readonly string[], replies: Replies = {}, env?: Record<string, string>) {
  const dir = tempDir();
  const cacheDir = join(tempDir(), 'cache');
  for (const type of types) {
    writePlugin(dir, type, `exec '${process.execPath}' '${programPath('cni-noop')}' "$0"`);
  }
  const runsFile = join(dir, 'runs.jsonl');
  const reply = (changed: Replies) => writeFileSync(join(dir, 'replies.json'), JSON.stringify(changed));
  reply(replies);
  writeFileSync(runsFile, '');
  return {
    dir,
    cacheDir,
    reply,
    cni: new CNI({ pluginDirs: ['/nonexistent', dir], cacheDir, ...(env && { env }) }),
    /** What ran since the last time. */
    runs(): Run[] {
      const lines = readFileSync(runsFile, 'utf8').split('\n').filter(Boolean);
      writeFileSync(runsFile, '');
      return lines.map((line) => JSON.parse(line) as Run);
    },
    cached: () => (existsSync(join(cacheDir, 'results')) ? readdirSync(join(cacheDir, 'results')) : []),
  };
}

function writePlugin(dir: string, type: string, script: string): void {
  writeFileSync(join(dir, type), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** As in "ADD bridge". */
const summary = (runs: readonly Run[]) => runs.map(({ type, env }) => `${env.CNI_COMMAND} ${type}`);
const prevResults = (runs: readonly Run[]) => runs.map(({ stdin }) => stdin.prevResult);
const failure = (msg: string, code = 999) => ({ stdout: { cniVersion: '1.0.0', code, msg }, code: 1 });
const fails = (code: number, message: RegExp) => (error: unknown) => {
  assert(error instanceof CNIError, String(error));
  assert.deepEqual([error.code, /\n/.test(error.message)], [code, false]);
  assert.match(error.message, message);
  return true;
};

describe('CNI: a network configuration', () => {
  it('is a list, or one plugin that becomes a list, with the keys that nobody knows', () => {
    const list = { ...network([{ type: 'a', strange: { deep: [1] } }]), 'example.com/key': true };
    assert.deepEqual(parseConfList(JSON.stringify(list)), list);
    const single = { cniVersion: '0.4.0', name: 'lo', type: 'loopback', strange: null };
    assert.deepEqual(parseConfList(JSON.stringify(single)), { cniVersion: '0.4.0', name: 'lo', plugins: [single] });
  });

  it('that is wrong is refused in a line that says where', () => {
    for (const [value, code, message] of [
      ['{', 6, /is not JSON: /],
      ['[]', 7, /wrong: it is not an object/],
      [JSON.stringify({ ...network(['a']), name: '../x' }), 7, /wrong: name does not match/],
      [JSON.stringify(network([])), 7, /wrong: plugins is empty/],
      [JSON.stringify({ cniVersion: '1.0.0', name: 'a' }), 7, /wrong: plugins is not a list/],
      [JSON.stringify(network(['../sh'])), 7, /wrong: plugins\.0\.type is not the name of a plugin/],
      [JSON.stringify(network([{ type: 'a', capabilities: { mac: 1 } } as never])), 7, /plugins\.0\.capabilities\.mac/],
      [JSON.stringify({ name: 'a', plugins: [{ type: 'a' }] }), 7, /wrong: cniVersion is not a string/],
      [JSON.stringify(network(['a'], { disableGC: 'yes' as never })), 7, /wrong: disableGC is not true or false/],
      [JSON.stringify(network(['a'], { cniVersion: '0.2.0' })), 1, /network net1 has cniVersion 0\.2\.0; supported/],
    ] as const) {
      assert.throws(() => parseConfList(value), fails(code, message), value);
    }
  });

  it('is spoken in the newest version that both know', () => {
    const chosen = (cniVersion: string, cniVersions?: string[]) =>
      chosenVersion(network(['a'], { cniVersion, ...(cniVersions && { cniVersions }) }));
    assert.equal(chosen('0.3.1'), '0.3.1');
    assert.equal(chosen('0.4.0', ['1.1.0', '0.3.0', '1.0.0', '9.9.9']), '1.1.0');
    assert.equal(chosen('1.0.0', ['0.4.0']), '1.0.0');
  });

  it('comes from every directory by the names of files, and a broken file does not hide the others', async () => {
    const [first, second] = [tempDir(), tempDir()];
    const put = (dir: string, name: string, text: string) => writeFileSync(join(dir, name), text);
    const named = (name: string) => JSON.stringify(network(['a'], { name }));
    put(first, '20-b.conflist', named('b'));
    put(first, '30-c.conf', JSON.stringify({ cniVersion: '1.0.0', name: 'c', type: 'a' }));
    put(first, '40-b.json', named('b'));
    put(first, 'readme.txt', 'nothing');
    put(second, '10-a.json', named('a'));
    put(second, '15-broken.conflist', '{');
    put(second, '16-wrong.conflist', '{}');
    mkdirSync(join(second, '17-dir.conf'));
    const { networks, problems } = await readConfDir([first, join(first, 'nowhere'), second]);
    assert.deepEqual(
      networks.map(({ file, list }) => [file, list.name]),
      [
        [join(second, '10-a.json'), 'a'],
        [join(first, '20-b.conflist'), 'b'],
        [join(first, '30-c.conf'), 'c'],
      ],
    );
    assert.deepEqual(
      problems.map(({ file }) => file),
      [
        ...['15-broken.conflist', '16-wrong.conflist', '17-dir.conf'].map((name) => join(second, name)),
        join(first, '40-b.json'),
      ],
    );
    assert.match(problems[0]?.what ?? '', /^the network configuration is not JSON/);
    assert.match(problems[2]?.what ?? '', /EISDIR/);
    assert.equal(problems[3]?.what, `network b is in ${join(first, '20-b.conflist')} already`);
  });
});

describe('CNI: ADD', () => {
  it('runs the plugins in order, each with what the one before answered', async () => {
    const final = { ...result, dns: { nameservers: ['10.4.0.1'] } };
    const p = plugins(['a', 'b', 'c'], { a: { ADD: { stdout: result } }, b: { ADD: { stdout: final } } });
    const given = { ...runtime, args: { IgnoreUnknown: '1', IP: '10.4.0.2' } };
    assert.deepEqual(await p.cni.add(network(['a', 'b', 'c']), id, given), final);
    const runs = p.runs();
    assert.deepEqual(summary(runs), ['ADD a', 'ADD b', 'ADD c']);
    assert.deepEqual(prevResults(runs), [undefined, result, final]);
    for (const { env } of runs) {
      const { PATH = '', ...variables } = env;
      assert.deepEqual(variables, {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'c1',
        CNI_NETNS: '/run/netns/c1',
        CNI_IFNAME: 'eth0',
        CNI_ARGS: 'IgnoreUnknown=1;IP=10.4.0.2',
        CNI_PATH: `/nonexistent:${p.dir}`,
      });
      assert(PATH.startsWith(`${process.env.PATH}:`) && PATH.endsWith(':/usr/sbin:/sbin'), PATH);
    }
  });

  it('passes on the environment but for variables of another run', async () => {
    const env = { PATH: '/usr/bin', CNI_NETNS: '/wrong', CNI_ARGS: 'A=B', CNI_OTHER: '1' };
    const p = plugins(['a'], {}, env);
    await p.cni.add(network(['a']), id, runtime);
    const [run] = p.runs();
    assert.equal(run?.env.PATH, '/usr/bin:/usr/sbin:/sbin');
    assert.deepEqual([run.env.CNI_NETNS, run.env.CNI_ARGS, run.env.CNI_OTHER], ['/run/netns/c1', '', undefined]);
  });

  it('gives each plugin its object, the name, the version, and what it is capable of and was supplied', async () => {
    const p = plugins(['a', 'b']);
    const list = network(
      [
        {
          type: 'a',
          capabilities: { portMappings: true, mac: false, ips: true },
          isGateway: true,
          ipam: { type: 'x' },
        },
        { type: 'b', capabilities: { bandwidth: true }, name: 'other', cniVersion: '0.3.0' },
      ],
      { cniVersions: ['1.1.0'], strange: 1 },
    );
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
    await p.cni.add(list, id, {
      ...runtime,
      capabilityArgs: { portMappings, mac: '02:00:00:00:00:01', aliases: ['w'] },
    });
    const [a, b] = p.runs();
    assert.deepEqual(a?.stdin, {
      type: 'a',
      isGateway: true,
      ipam: { type: 'x' },
      name: 'net1',
      cniVersion: '1.1.0',
      runtimeConfig: { portMappings },
    });
    assert.deepEqual(b?.stdin, {
      type: 'b',
      name: 'net1',
      cniVersion: '1.1.0',
      prevResult: { cniVersion: '1.1.0' },
    });
  });

  it('keeps the attachment as libcni does, for its owner alone', async () => {
    const p = plugins(['a'], { a: { ADD: { stdout: result } } });
    const list = network([{ type: 'a', capabilities: { mac: true } }]);
    const given = { netns: '/run/netns/c1', args: { IP: '10.4.0.2', K: 'V' }, capabilityArgs: { mac: '02::1' } };
    await p.cni.add(list, id, given);
    assert.deepEqual(p.cached(), ['net1-c1-eth0']);
    const path = join(p.cacheDir, 'results', 'net1-c1-eth0');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const { config, ...file } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    assert.deepEqual(JSON.parse(Buffer.from(String(config), 'base64').toString()), list);
    assert.deepEqual(file, {
      kind: 'cniCacheV1',
      containerId: 'c1',
      ifName: 'eth0',
      networkName: 'net1',
      netns: '/run/netns/c1',
      cniArgs: [
        ['IP', '10.4.0.2'],
        ['K', 'V'],
      ],
      capabilityArgs: { mac: '02::1' },
      result,
    });
  });

  it('is refused for what is attached, before a plugin runs; other interfaces and containers are not', async () => {
    const p = plugins(['a']);
    await p.cni.add(network(['a']), id, runtime);
    p.runs();
    await assert.rejects(
      p.cni.add(network(['a']), id, runtime),
      fails(999, /^CNI: container c1 is in network net1 as eth0 already; DEL has to come first \(code 999\)$/),
    );
    assert.deepEqual(p.runs(), []);
    await p.cni.add(network(['a']), { ...id, ifname: 'eth1' }, runtime);
    await p.cni.add(network(['a']), { ...id, containerId: 'c2' }, runtime);
    assert.deepEqual(p.cached(), ['net1-c1-eth0', 'net1-c1-eth1', 'net1-c2-eth0']);
  });

  it('is refused where another attachment has the same file, which stays', async () => {
    const p = plugins(['a']);
    await p.cni.add(network(['a'], { name: 'n' }), { ...id, containerId: 'x-c1' }, runtime);
    const other = network(['a'], { name: 'n-x' });
    const taken = fails(999, /n-x-c1-eth0 is that of eth0 of container x-c1 in network n /);
    await assert.rejects(p.cni.add(other, id, runtime), taken);
    await assert.rejects(p.cni.del(other, id, runtime), taken);
    assert.deepEqual(p.cached(), ['n-x-c1-eth0']);
  });

  it('that fails is followed by DEL of the whole list, and the first error is the one that is told', async () => {
    const p = plugins(['a', 'b', 'c'], {
      a: { ADD: { stdout: result }, DEL: failure('also wrong') },
      b: { ADD: failure('failed to allocate\nfor range 0'), DEL: failure('wrong again') },
    });
    await assert.rejects(
      p.cni.add(network(['a', 'b', 'c']), id, runtime),
      fails(999, /^CNI plugin b: failed to allocate for range 0 \(code 999\)$/),
    );
    const runs = p.runs();
    assert.deepEqual(summary(runs), ['ADD a', 'ADD b', 'DEL c', 'DEL b', 'DEL a']);
    assert.deepEqual(prevResults(runs), [undefined, result, result, result, result]);
    assert.deepEqual(p.cached(), []);
  });

  it('that cannot be kept fails, and is undone', async () => {
    const p = plugins(['a']);
    symlinkSync('/nonexistent/cache', p.cacheDir);
    await assert.rejects(p.cni.add(network(['a']), id, runtime), fails(5, /cannot write .*net1-c1-eth0: ENO/));
    assert.deepEqual(summary(p.runs()), ['ADD a', 'DEL a']);
  });

  it('does not begin where a plugin is missing', async () => {
    const p = plugins(['a']);
    mkdirSync(join(p.dir, 'c'));
    for (const type of ['b', 'c']) {
      await assert.rejects(p.cni.add(network(['a', type]), id, runtime), (error) => {
        assert(error instanceof PluginMissingError);
        const message = `CNI plugin ${type}: not found in CNI_PATH (/nonexistent:${p.dir}); install containernetworking-plugins (code 7)`;
        assert.deepEqual([error.plugin, error.message], [type, message]);
        return true;
      });
    }
    await assert.rejects(p.cni.add(network(['../a']), id, runtime), fails(7, /"\.\.\/a" is not the name of a plugin/));
    assert.deepEqual(p.runs(), []);
  });

  it('takes no name that a file or an interface cannot have', async () => {
    const p = plugins(['a']);
    const list = network(['a']);
    for (const containerId of ['', '-c', 'a/b', 'a b', '..']) {
      await assert.rejects(
        p.cni.add(list, { ...id, containerId }, runtime),
        fails(4, /container id ".*" does not match/),
      );
    }
    for (const ifname of ['', '.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'sixteen-letters-']) {
      await assert.rejects(p.cni.add(list, { ...id, ifname }, runtime), fails(4, /interface name ".*" (is|has) /));
    }
    await assert.rejects(
      p.cni.add({ ...list, name: 'a/b' }, id, runtime),
      fails(7, /network name "a\/b" does not match/),
    );
    await assert.rejects(p.cni.add(list, id, { ...runtime, netns: '' }), fails(4, /ADD needs a network namespace/));
    for (const args of [{ 'a=b': 'c' }, { a: 'b;c' }, { '': 'a' }]) {
      await assert.rejects(p.cni.add(list, id, { ...runtime, args }), fails(4, /cannot be part of CNI_ARGS/));
    }
    assert.deepEqual(p.runs(), []);
    await p.cni.add(list, { ...id, ifname: 'fifteen-letters' }, runtime);
  });

  it('gives the result of an old version in the form of the current one, and to plugins in theirs', async () => {
    const old = {
      cniVersion: '0.4.0',
      interfaces: null,
      ips: [{ version: '4', address: '10.4.0.2/24', gateway: '10.4.0.1' }],
      dns: {},
    };
    const p = plugins(['a', 'b'], { a: { ADD: { stdout: old } } });
    const current = { cniVersion: '1.0.0', ips: [{ address: '10.4.0.2/24', gateway: '10.4.0.1' }], dns: {} };
    const list = network(['a', 'b'], { cniVersion: '0.4.0' });
    assert.deepEqual(await p.cni.add(list, id, runtime), current);
    assert.deepEqual(prevResults(p.runs()), [undefined, old]);
    await p.cni.del(list, id, runtime);
    assert.deepEqual(prevResults(p.runs()), [old, old]);
    assert.throws(
      () => currentResult({ cniVersion: '0.2.0' }, 'a'),
      fails(1, /^CNI plugin a: its result has cniVersion/),
    );
    assert.throws(
      () => currentResult({ cniVersion: '1.0.0', ips: [{}] }),
      fails(6, /ips in its result is not a list of/),
    );
  });
});

describe('CNI: DEL', () => {
  it('runs in reverse with the last result, and with what there was at ADD', async () => {
    const p = plugins(['a', 'b', 'c'], { a: { ADD: { stdout: result } } });
    const list = network([{ type: 'a', capabilities: { mac: true } }, 'b']);
    await p.cni.add(list, id, { ...runtime, args: { K: 'V' }, capabilityArgs: { mac: '02::1' } });
    p.runs();
    await p.cni.del(network(['c']), id, { netns: '', args: { K: 'other' }, capabilityArgs: {} });
    const runs = p.runs();
    assert.deepEqual(summary(runs), ['DEL b', 'DEL a']);
    assert.deepEqual(prevResults(runs), [result, result]);
    assert.deepEqual(runs[1]?.stdin.runtimeConfig, { mac: '02::1' });
    assert.deepEqual([runs[0]?.env.CNI_ARGS, runs[0]?.env.CNI_NETNS], ['K=V', '']);
    assert.deepEqual(p.cached(), []);
  });

  it('can be repeated, and goes by the caller where nothing is known', async () => {
    const p = plugins(['a', 'b']);
    for (const _time of [1, 2]) {
      await p.cni.del(network(['a', 'b']), id, { ...runtime, args: { K: 'V' } });
      const runs = p.runs();
      assert.deepEqual(summary(runs), ['DEL b', 'DEL a']);
      assert.deepEqual([runs[0]?.env.CNI_ARGS, ...prevResults(runs)], ['K=V', undefined, undefined]);
    }
  });

  it('that fails keeps the attachment, so that the next can succeed', async () => {
    const p = plugins(['a', 'b']);
    await p.cni.add(network(['a', 'b']), id, runtime);
    p.runs();
    p.reply({ b: { DEL: failure('busy', 11) } });
    await assert.rejects(p.cni.del(network(['a', 'b']), id, runtime), fails(11, /^CNI plugin b: busy \(code 11\)$/));
    assert.deepEqual(p.cached(), ['net1-c1-eth0']);
    p.reply({});
    await p.cni.del(network(['a', 'b']), id, runtime);
    assert.deepEqual(p.cached(), []);
  });

  it('mends a file that is broken', async () => {
    const p = plugins(['a']);
    await p.cni.add(network(['a']), id, runtime);
    for (const text of ['', '{}', '{"kind":"cniCacheV1"}']) {
      writeFileSync(join(p.cacheDir, 'results', 'net1-c1-eth0'), text);
      await assert.rejects(p.cni.add(network(['a']), id, runtime), fails(6, /net1-c1-eth0 is broken; DEL removes it/));
      await p.cni.del(network(['a']), id, runtime);
      assert.deepEqual(p.cached(), []);
    }
  });

  it('has no result before 0.4.0', async () => {
    const p = plugins(['a'], { a: { ADD: { stdout: { ...result, cniVersion: '0.3.1' } } } });
    const list = network(['a'], { cniVersion: '0.3.1' });
    await p.cni.add(list, id, runtime);
    await p.cni.del(list, id, runtime);
    assert.deepEqual(prevResults(p.runs()), [undefined, undefined]);
  });
});

describe('CNI: CHECK', () => {
  it('runs in order with the last result and what there was at ADD, and says what is wrong', async () => {
    const p = plugins(['a', 'b'], { a: { ADD: { stdout: result } }, b: { CHECK: failure('no route', 100) } });
    await p.cni.add(network(['a', 'b']), id, { ...runtime, args: { K: 'V' } });
    p.runs();
    await assert.rejects(
      p.cni.check(network(['a', 'b']), id, runtime),
      fails(100, /^CNI plugin b: no route \(code 100\)$/),
    );
    const runs = p.runs();
    assert.deepEqual(summary(runs), ['CHECK a', 'CHECK b']);
    assert.deepEqual([runs[0]?.env.CNI_ARGS, ...prevResults(runs)], ['K=V', result, result]);
  });

  it('needs an attachment, and a version that has it; a network can do without', async () => {
    const p = plugins(['a']);
    await assert.rejects(p.cni.check(network(['a']), id, runtime), fails(3, /c1 is not in network net1 as eth0/));
    const old = network(['a'], { name: 'old', cniVersion: '0.3.1' });
    await p.cni.add(old, id, runtime);
    await assert.rejects(
      p.cni.check(old, id, runtime),
      fails(1, /has cniVersion 0\.3\.1, and CHECK came with 0\.4\.0/),
    );
    const without = network(['a'], { name: 'without', disableCheck: true });
    await p.cni.add(without, id, runtime);
    await assert.rejects(
      p.cni.check(without, id, { ...runtime, netns: '' }),
      fails(4, /CHECK needs a network namespace/),
    );
    p.runs();
    await p.cni.check(without, id, runtime);
    assert.deepEqual(p.runs(), []);
  });
});

describe('CNI: GC', () => {
  it('deletes the attachments to the network that are not valid, then tells the plugins which are', async () => {
    const p = plugins(['a', 'b']);
    const list = network([{ type: 'a', capabilities: { mac: true } }, 'b'], { cniVersion: '1.1.0' });
    for (const containerId of ['c1', 'c2']) await p.cni.add(list, { ...id, containerId }, runtime);
    await p.cni.add(list, { ...id, containerId: 'c3' }, { ...runtime, netns: '/proc/1/ns/net' });
    await p.cni.add(network(['a'], { name: 'other' }), id, runtime);
    p.runs();
    await p.cni.gc(list, [{ containerId: 'c2', ifname: 'eth0' }]);
    const runs = p.runs();
    assert.deepEqual(summary(runs), ['DEL b', 'DEL a', 'DEL b', 'DEL a', 'GC a', 'GC b']);
    // The process of a namespace in /proc may be another one by now.
    assert.deepEqual(
      runs.slice(0, 4).map(({ env }) => `${env.CNI_CONTAINERID} ${env.CNI_NETNS}`),
      ['c1 /run/netns/c1', 'c1 /run/netns/c1', 'c3 ', 'c3 '],
    );
    assert.deepEqual(runs[4]?.stdin, {
      type: 'a',
      name: 'net1',
      cniVersion: '1.1.0',
      'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }],
      'cni.dev/attachments': [{ containerID: 'c2', ifname: 'eth0' }],
    });
    const { PATH: _path, ...variables } = runs[4].env;
    assert.deepEqual(variables, { CNI_COMMAND: 'GC', CNI_PATH: `/nonexistent:${p.dir}` });
    assert.deepEqual(p.cached(), ['net1-c2-eth0', 'other-c1-eth0']);
  });

  it('goes on where a part fails, and tells all of it', async () => {
    const p = plugins(['a', 'b']);
    const list = network(['a', 'b'], { cniVersion: '1.1.0' });
    await p.cni.add(list, id, runtime);
    await p.cni.add(list, { ...id, containerId: 'c2' }, runtime);
    p.runs();
    p.reply({ b: { DEL: failure('busy', 11) }, a: { GC: failure('unknown CNI_COMMAND: GC', 4) } });
    await assert.rejects(p.cni.gc(list, []), (error) => {
      assert(error instanceof CNIErrors);
      assert.deepEqual(
        error.errors.map(({ code, plugin }) => [code, plugin]),
        [
          [11, 'b'],
          [11, 'b'],
          [4, 'a'],
        ],
      );
      return fails(11, /^CNI: GC of network net1 failed: CNI plugin b: busy .*; CNI plugin a: unknown/)(error);
    });
    assert.deepEqual(summary(p.runs()), ['DEL b', 'DEL b', 'GC a', 'GC b']);
    assert.deepEqual(p.cached(), ['net1-c1-eth0', 'net1-c2-eth0']);
  });

  it('is not a matter of plugins before 1.1.0, or where the network does without', async () => {
    const p = plugins(['a']);
    for (const list of [network(['a']), network(['a'], { cniVersion: '1.1.0', disableGC: true })]) {
      await p.cni.add(list, id, runtime);
      p.runs();
      await p.cni.gc(list, []);
      assert.deepEqual(summary(p.runs()), ['DEL a']);
    }
    await assert.rejects(p.cni.gc(network(['a']), [{ ...id, ifname: '' }]), fails(4, /interface name "" is empty/));
  });
});

describe('CNI: STATUS and VERSION', () => {
  it('STATUS says that a network is not available, from 1.1.0 on', async () => {
    const p = plugins(['a', 'b'], { b: { STATUS: failure('no addresses', 50) } });
    const list = network(['a', 'b'], { cniVersion: '1.1.0' });
    await assert.rejects(p.cni.status(list), fails(50, /^CNI plugin b: no addresses \(code 50\)$/));
    assert.deepEqual(summary(p.runs()), ['STATUS a', 'STATUS b']);
    p.reply({ a: { STATUS: failure('no gateway', 51) } });
    await assert.rejects(p.cni.status(list), fails(51, /no gateway/));
    p.reply({});
    await p.cni.status(list);
    p.runs();
    await p.cni.status(network(['a', 'b']));
    assert.deepEqual(p.runs(), []);
  });

  it('VERSION is what a plugin speaks', async () => {
    const said = { cniVersion: '1.0.0', supportedVersions: ['0.4.0', '1.0.0'] };
    const p = plugins(['a', 'b'], { a: { VERSION: { stdout: said } }, b: { VERSION: { stdout: {} } } });
    assert.deepEqual(await p.cni.version('a'), said);
    const [run] = p.runs();
    assert.deepEqual(run?.stdin, { cniVersion: '1.1.0' });
    await assert.rejects(p.cni.version('b'), fails(6, /^CNI plugin b: its answer to VERSION lacks/));
  });
});

describe('CNI: a plugin that fails', () => {
  /** What ADD says when the plugin is this script. */
  async function said(script: string, timeout = 20_000): Promise<string> {
    const dir = tempDir();
    writePlugin(dir, 'a', script);
    const cni = new CNI({ pluginDirs: [dir], cacheDir: tempDir(), timeout });
    const error: unknown = await cni.add(network(['a']), id, runtime).then(
      () => assert.fail('it succeeded'),
      (reason: unknown) => reason,
    );
    assert(error instanceof CNIError, String(error));
    return error.message;
  }

  it('is told with all that it says, in one line', async () => {
    for (const [script, message] of [
      [`printf %s '{"code":7,"msg":"bad","details":"very\\nbad"}'; exit 1`, 'CNI plugin a: bad; very bad (code 7)'],
      [`echo '{"code":7,"msg":"","details":"only this"}'; exit 1`, 'CNI plugin a: only this (code 7)'],
      [`echo nonsense; echo one >&2; echo two >&2; exit 3`, 'CNI plugin a: two; exit code 3 (code 999)'],
      [`echo '["no"]'; exit 3`, 'CNI plugin a: ADD failed without a word; exit code 3 (code 999)'],
      ['kill -9 $$', 'CNI plugin a: ADD failed without a word; ended by SIGKILL (code 999)'],
      ['echo "{"', 'CNI plugin a: its answer to ADD is not a JSON object: "{\\n" (code 6)'],
      ['true', 'CNI plugin a: its answer to ADD is not a JSON object: it is empty (code 6)'],
      [`echo '{"ips":7}'`, 'CNI plugin a: ips in its result is not a list of objects with address (code 6)'],
    ] as const) {
      assert.equal(await said(script), message);
    }
  });

  it('by not being a program is told', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'a'), '#!/nonexistent\n');
    chmodSync(join(dir, 'a'), 0o755);
    const cni = new CNI({ pluginDirs: [dir], cacheDir: tempDir() });
    await assert.rejects(cni.add(network(['a']), id, runtime), fails(5, /^CNI plugin a: cannot be run: .*ENOENT/));
    await assert.rejects(
      cni.add(network(['a']), id, { ...runtime, netns: 'a\0b' }),
      fails(5, /^CNI plugin a: cannot be run: /),
    );
  });

  it('by not ending is ended, with all that it has started', async () => {
    const pids = join(tempDir(), 'pids');
    const script = `[ $CNI_COMMAND = DEL ] && exit 0; sleep 600 & echo $! > ${pids}; echo $$ >> ${pids}; wait`;
    assert.equal(await said(script, 1500), 'CNI plugin a: ADD did not end within 1.5 s (code 999)');
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    assert.equal(started.length, 2);
    await waitFor(() => started.every((pid) => !isAlive(pid)), { what: 'the end of the plugin' });
  });
});
