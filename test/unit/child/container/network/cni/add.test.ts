import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PluginMissingError } from '../../../../../../child/container/network/cni/executor/errors.js';
import { currentResult } from '../../../../../../child/container/network/cni/executor/result.js';
import { fails, failure, id, network, plugins, prevResults, result, runtime, summary } from './executor.js';

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

  it('passes on the environment except for variables of another run', async () => {
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
    const taken = fails(999, /n-x-c1-eth0 belongs to eth0 of container x-c1 in network n /);
    await assert.rejects(p.cni.add(other, id, runtime), taken);
    await assert.rejects(p.cni.del(other, id, runtime), taken);
    assert.deepEqual(p.cached(), ['n-x-c1-eth0']);
  });

  it('that fails is followed by DEL of the whole list, and the first error is the one that is reported', async () => {
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

  it('does not begin if a plugin is missing', async () => {
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

  it('accepts no name that a file or an interface cannot have', async () => {
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
