import assert from 'node:assert/strict';
import { ContainerPolicies } from '../../../../parent/egress/container-policies.js';
import { denialOf, denialText } from '../../../../parent/egress/denials.js';
import { RateLimits } from '../../../../parent/egress/rate-limit.js';

const HOST = { addresses: () => ['192.0.2.1'], watch: () => {} };

/** An engine that remembers the sources that it was given: address and length of each policy. */
function makeEngine() {
  const sources = new Map<number, { addresses: readonly string[]; policies: number[] }>();
  const hosts: string[][] = [];
  const limitOf = new Map<number, number>();
  const rates = new Map<number, [outgoing: number, incoming: number]>();
  const ports: [first: number, count: number, number: number][] = [];
  const engine = {
    setSource: (id: number, addresses: readonly string[], policies: readonly Uint8Array[]) => {
      sources.set(id, { addresses, policies: policies.map(({ length }) => length) });
      return true;
    },
    removeSource: (id: number) => void sources.delete(id),
    setSourceHost: (addresses: readonly string[]) => void hosts.push([...addresses]),
    sourceCounters: () => Array(3).fill({ allowed: 1, denied: 2, names: 3 }),
    limitSource: (id: number, number: number) => void limitOf.set(id, number),
    setLimit: (number: number, { outgoing, incoming }: { outgoing: number; incoming: number }) =>
      void rates.set(number, [outgoing, incoming]),
    datagramsDropped: () => ({ outgoing: 1, incoming: 2 }),
    limitPorts: (first: number, count: number, number: number) => void ports.push([first, count, number]),
  };
  return { engine, sources, hosts, limitOf, rates, ports };
}

const web = {
  id: 'a'.repeat(64),
  name: 'web',
  addresses: ['10.4.0.2', 'fd00:0::2'],
  policies: ['container a', 'network n'],
};

describe('policies of containers', () => {
  it('are those of a container and of its networks, by its addresses', () => {
    const { engine, sources, hosts } = makeEngine();
    const policies = new ContainerPolicies(engine, HOST, new RateLimits(engine));
    policies.setPolicy('network n', ['allow a.test']);
    policies.set(web);
    assert.deepEqual(hosts, [['192.0.2.1']]);
    const [source] = [...sources.values()];
    assert.deepEqual(source?.addresses, ['10.4.0.2', 'fd00::2']);
    // Its own has no rules.
    assert.equal(source?.policies[0], 0);
    assert.ok((source?.policies[1] ?? 0) > 0);
    assert.equal(policies.nameOf('10.4.0.2:4711'), 'web');
    assert.equal(policies.nameOf('[fd00::2]:80'), 'web');
    assert.equal(policies.nameOf('10.4.0.3:4711'), undefined);
    assert.equal(policies.ruleText('10.4.0.2:1', 1, 0), 'allow a.test');
    assert.deepEqual(policies.report(web.id, 'network n')?.rules, [
      { rule: 'allow a.test', allowed: 1, denied: 2, names: 3 },
    ]);
  });

  it('change for all containers that have them, and go with the container', () => {
    const { engine, sources } = makeEngine();
    const policies = new ContainerPolicies(engine, HOST, new RateLimits(engine));
    policies.set(web);
    policies.setPolicy('network n', ['allow a.test', 'deny b.test']);
    assert.ok([...sources.values()].every((source) => (source.policies[1] ?? 0) > 0));
    policies.remove(web.id);
    assert.deepEqual([sources.size, policies.ids(), policies.nameOf('10.4.0.2')], [0, [], undefined]);
  });

  it('have a limit that goes with the container, and covers its ports but for those with their own', () => {
    const { engine, limitOf, rates, ports } = makeEngine();
    const limits = new RateLimits(engine);
    const policies = new ContainerPolicies(engine, HOST, limits);
    const port = { transport: 'tcp', host: { ip: '', port: 80 }, target: { ip: '', port: 80 }, count: 2 } as const;
    assert.throws(() => policies.set({ ...web, limit: 'fast' }), /Invalid limit "fast" \(limit of web\)/);
    assert.deepEqual(policies.ids(), []);
    policies.set({ ...web, limit: '10M:1M' });
    const [number = assert.fail()] = limitOf.values();
    assert.notEqual(number, 0, 'that of the stack');
    assert.deepEqual(rates.get(number), [10e6, 1e6]);
    limits.cover([{ ...port, id: 7, container: web.id }]);
    limits.cover([
      { ...port, id: 9, container: 'other' },
      { ...port, id: 11 },
    ]);
    assert.deepEqual(ports, [[7, 2, number]]);
    limits.setPort(8, { outgoing: 5, incoming: 5 }, () => true);
    const own = ports.at(-1)?.[2];
    assert.notEqual(own, number);
    limits.cover([{ ...port, id: 7, container: web.id }]);
    assert.deepEqual(ports.slice(-2), [
      [7, 2, number],
      [8, 1, own],
    ]);
    rates.clear();
    policies.set({ ...web, limit: '10M:1M' });
    assert.deepEqual([...rates], [], 'the burst does not begin anew');
    policies.set(web);
    assert.deepEqual(rates.get(number), [0, 0]);
    policies.remove(web.id);
    policies.set({ ...web, limit: '5M' });
    assert.deepEqual(rates.get(number), [5e6, 5e6], 'the number is used again');
  });

  it('take an address over from a container that had it before', () => {
    const { engine } = makeEngine();
    const policies = new ContainerPolicies(engine, HOST, new RateLimits(engine));
    policies.set(web);
    policies.set({ ...web, id: 'other', name: 'other' });
    policies.remove(web.id);
    assert.equal(policies.nameOf('10.4.0.2:1'), 'other');
  });

  it('are bounded, and refused if they are not rules', () => {
    const { engine } = makeEngine();
    const policies = new ContainerPolicies(engine, HOST, new RateLimits(engine));
    assert.throws(() => policies.setPolicy('k', ['drop everything']), /expected rules such as "allow NAME"/);
    assert.throws(() => policies.setPolicy('k', Array(1001).fill('allow a.test')), /at most 1000 rules/);
    for (let i = 0; i < 512; i++) policies.set({ ...web, id: `${i}`, addresses: [] });
    assert.throws(() => policies.set({ ...web, id: 'more' }), /at most 512 containers/);
  });

  it('are named in denials', () => {
    const event = { type: 'egress-denied', protocol: 6, client: '10.4.0.2:1', destination: '192.0.2.9:80' } as const;
    const denial = denialOf({ ...event, reason: 'no rule allows it' }, undefined, 'web');
    assert.equal(denialText(denial), 'egress denied: container web: tcp to 192.0.2.9:80: no rule allows it');
  });
});
