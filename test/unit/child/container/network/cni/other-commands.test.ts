import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CNIErrors } from '../../../../../../child/container/network/cni/executor/errors.js';
import { fails, failure, id, network, plugins, prevResults, result, runtime, summary } from './executor.js';

describe('CNI: DEL', () => {
  it('runs in reverse with the last result, and with the state at ADD', async () => {
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

  it('can be repeated, and goes by the caller if nothing is known', async () => {
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

  it('repairs a file that is invalid', async () => {
    const p = plugins(['a']);
    await p.cni.add(network(['a']), id, runtime);
    for (const text of ['', '{}', '{"kind":"cniCacheV1"}']) {
      writeFileSync(join(p.cacheDir, 'results', 'net1-c1-eth0'), text);
      await assert.rejects(p.cni.add(network(['a']), id, runtime), fails(6, /net1-c1-eth0 is invalid; DEL removes it/));
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
  it('runs in order with the last result and the state at ADD, and reports what is wrong', async () => {
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
    await assert.rejects(p.cni.check(old, id, runtime), fails(1, /has cniVersion 0\.3\.1, and CHECK requires 0\.4\.0/));
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
  it('deletes the attachments to the network that are not valid, then passes the valid ones to the plugins', async () => {
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

  it('continues if a part fails, and reports all failures', async () => {
    const p = plugins(['a', 'b']);
    const list = network(['a', 'b'], { cniVersion: '1.1.0' });
    await p.cni.add(list, id, runtime);
    await p.cni.add(list, { ...id, containerId: 'c2' }, runtime);
    p.runs();
    p.reply({ b: { DEL: failure('busy', 11) }, a: { GC: failure('unknown CNI_COMMAND: GC', 4) } });
    await assert.rejects(p.cni.gc(list, []), (error) => {
      assert(error instanceof CNIErrors);
      assert.deepEqual(
        error.errors.map(({ cniCode, plugin }) => [cniCode, plugin]),
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

  it('is skipped for versions before 1.1.0, or if the network disables it', async () => {
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
  it('STATUS reports that a network is not available, from 1.1.0 on', async () => {
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
    const reported = { cniVersion: '1.0.0', supportedVersions: ['0.4.0', '1.0.0'] };
    const p = plugins(['a', 'b'], { a: { VERSION: { stdout: reported } }, b: { VERSION: { stdout: {} } } });
    assert.deepEqual(await p.cni.version('a'), reported);
    const [run] = p.runs();
    assert.deepEqual(run?.stdin, { cniVersion: '1.1.0' });
    await assert.rejects(p.cni.version('b'), fails(6, /^CNI plugin b: its response to VERSION lacks/));
  });
});
