import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { keys } from '../../../../parent/overlay/registry/layout.js';
import { OverlayStore } from '../../../../parent/overlay/store.js';
import { generateKeys } from '../../../../protocol/wireguard/keys.js';
import { tempDir, waitFor } from '../../../support/index.js';
import { type Etcds, startEtcds } from '../../../support/overlay/etcd.js';
import { startFlanneld } from '../../../support/overlay/flanneld.js';
import {
  type MemberOptions,
  makeMember,
  makeRegistry,
  startMember,
  type TestMember,
} from '../../../support/overlay/members.js';

const hostsSeenBy = ({ membership }: TestMember) => membership.peers.map(({ host }) => host).sort();
const sees = (member: TestMember, ...others: TestMember[]) =>
  waitFor(() => String(hostsSeenBy(member)) === String(others.map(({ host }) => host).sort()), {
    what: `${member.self.name} to see ${others.map(({ self }) => self.name).join(', ') || 'nobody'}`,
  });
const ready = (member: TestMember) =>
  waitFor(() => member.membership.condition === 'ready', { what: `${member.self.name} to be ready` });

describe('the registry of overlay networks in etcd', () => {
  let etcds: Etcds;
  let number = 0;
  let options: Omit<MemberOptions, 'name'>;
  const at = () => keys(options.prefix);

  before(async () => {
    etcds = await startEtcds(3, { tls: true });
  });
  beforeEach(async () => {
    options = { etcd: etcds.options, prefix: `/test/${number++}` };
    await makeRegistry(etcds.client, options.prefix, ['10.50.0.0/16', 'fd50::/48']);
  });
  after(async () => {
    await etcds?.[Symbol.asyncDispose]();
  });
  const join = (name: string, of?: TestMember) => startMember({ ...options, name, ...(of && { of }) });

  it('leases each member subnets of its own, and shows it the others, with their names', async () => {
    await using one = await join('one');
    await using two = await join('two');
    assert.notDeepEqual(one.membership.subnets, two.membership.subnets);
    assert.deepEqual(
      one.membership.subnets?.map((text) => text.replace(/^.*\//, '')),
      ['24', '64'],
    );
    await sees(one, two);
    await sees(two, one);
    const ip = two.membership.subnets?.[0]?.replace('0/24', '9') ?? '';
    two.membership.setNames([{ name: 'web', addresses: [ip, '10.99.0.1'] }]);
    // Not what is not its own.
    const names = [{ host: two.host, names: [{ name: 'web', addresses: [ip] }] }];
    await waitFor(() => JSON.stringify(one.membership.names) === JSON.stringify(names), { what: 'the name' });
    two.membership.setNames([]);
    await waitFor(() => one.membership.names.length === 0, { what: 'the name to go' });
    await waitFor(() => one.membership.isAlive(two.host) === true, { what: 'the sign of life' });
    await two.membership.announce({ ...two.self, address: '2001:db8::99', port: 4000 });
    const where = () => one.membership.peers.map(({ address, port }) => `${address} ${port}`).join();
    await waitFor(() => where() === '2001:db8::99 4000', { what: 'another address of the host' });
  });

  it('gives a member its subnets again after a restart, also one that was killed, and to others what it leaves', async () => {
    const one = await join('one');
    const subnets = one.membership.subnets;
    await one.membership.close();
    assert.equal(await etcds.client.get(at().alive(one.host)), undefined);
    const again = await join('one', one);
    assert.deepEqual(again.membership.subnets, subnets);
    await again.kill();
    assert.notEqual(await etcds.client.get(at().alive(one.host)), undefined);
    await using killed = await join('one', again);
    assert.deepEqual(killed.membership.subnets, subnets);
    await killed.membership.leave();
    assert.deepEqual((await etcds.client.list(at().subnets)).entries, []);
  });

  it('goes on when the leader is killed, and when the quorum is lost and comes back', async () => {
    await using one = await join('one');
    const leader = await etcds.leader();
    await etcds.kill(leader);
    await using two = await join('two');
    await sees(one, two);
    const second = [0, 1, 2].find((index) => index !== leader) ?? 0;
    await etcds.kill(second);
    await waitFor(() => one.membership.condition === 'waiting', { what: 'the loss to be noticed' });
    assert.match(one.membership.reason ?? '', /^etcd does not answer at /);
    // The data plane goes on with them.
    assert.deepEqual(hostsSeenBy(one), [two.host]);
    await assert.rejects(join('three'), /etcd does not answer/);
    await Promise.all([etcds.restart(leader), etcds.restart(second)]);
    await ready(one);
    await ready(two);
    await using three = await join('three');
    await sees(one, two, three);
  }).timeout(40_000);

  it('refuses a second process with the same identity, unless it is the successor of a killed one', async () => {
    await using one = await join('one');
    const copy = await makeMember({ ...options, name: 'copy', of: { host: one.host, store: one.store } });
    one.store.writeLease({ subnets: ['10.50.9.0/24'], instance: 'another', boot: 'another' });
    await assert.rejects(copy.membership.announce(copy.self), /another process has the identity of this host \(one\)/);
    assert.equal(copy.membership.condition, 'duplicate');
    await copy.membership.close();
    assert.equal(one.membership.condition, 'ready');
  });

  it('reports a member whose subnets another one has taken, which gets others after a restart', async () => {
    const one = await join('one');
    const [share] = (await etcds.client.list(at().subnets)).entries;
    assert.ok(share);
    const thief = JSON.stringify({ ...JSON.parse(share.value), BackendData: { PublicKey: generateKeys().publicKey } });
    await etcds.client.transaction([], [{ put: share.key, value: thief }]);
    await waitFor(() => one.membership.condition === 'lost', { what: 'the loss' });
    assert.match(one.membership.reason ?? '', /was taken by another one \(a flanneld\).*restart the stack/);
    await one.membership.close();
    await using again = await join('one', one);
    assert.notDeepEqual(again.membership.subnets, one.membership.subnets);
    assert.equal(again.membership.condition, 'ready');
  });

  it('expels a member, which cannot come back with its identity or its key', async () => {
    await using one = await join('one');
    await using two = await join('two');
    await sees(one, two);
    const member = one.membership.peers[0];
    assert.ok(member);
    await one.membership.expel(member);
    await waitFor(() => two.membership.condition === 'expelled', { what: 'it to know' });
    await sees(one);
    assert.deepEqual(two.membership.peers, []);
    // Whatever it writes itself.
    await using other = await makeMember({ ...options, name: 'two' });
    await other.membership.announce({ ...other.self, publicKey: two.self.publicKey }).catch(() => {});
    await using three = await join('three');
    await sees(one, three);
  });

  it('understands flanneld, and is understood by it', async () => {
    const flanneld = await startFlanneld(etcds.client, options.prefix, '192.0.2.7');
    await using one = await join('one');
    await using two = await join('two');
    const expected = [one, two].map(({ self, membership }) => ({
      ...{ publicKey: self.publicKey, endpoint: `${self.address}:${self.port}` },
      subnets: membership.subnets?.map((text) => text.replace(/^(fd50:0:0):0*(\w+)::/, '$1:$2::')),
    }));
    const byKey = (some: readonly { publicKey: string }[]) => some.map(({ publicKey }) => publicKey).sort();
    const peers = await flanneld.peers();
    assert.deepEqual(byKey(peers), byKey(expected));
    for (const peer of expected)
      assert.deepEqual(
        peers.find(({ publicKey }) => publicKey === peer.publicKey),
        peer,
      );
    const seen = () => one.membership.peers.find(({ publicKey }) => publicKey === flanneld.publicKey);
    await waitFor(() => seen() !== undefined, { what: 'flanneld' });
    assert.deepEqual(
      [seen()?.address, seen()?.port, seen()?.subnets],
      ['192.0.2.7', 51820, ['10.50.1.0/24', 'fd50:0:0:1::/64']],
    );
    await flanneld.renew();
    // One of before it wrote ports.
    const old = {
      PublicIP: '192.0.2.8',
      BackendType: 'wireguard',
      BackendData: { PublicKey: generateKeys().publicKey },
    };
    const put = { put: `${at().subnets}10.50.200.0-24&fd50:0:0:c8::-64`, value: JSON.stringify(old) };
    await etcds.client.transaction([], [{ ...put, lease: await etcds.client.grant(60) }]);
    await waitFor(() => one.membership.peers.some(({ address }) => address === '192.0.2.8'), {
      what: 'an old flanneld',
    });
    assert.deepEqual(new Set(one.membership.peers.map(({ port }) => port)), new Set([51820]));
    assert.equal(seen()?.address, '192.0.2.7');
  });

  it('loses the names of a member whose sign of life ends, and keeps its subnets', async () => {
    await using one = await join('one');
    await using two = await join('two');
    const ip = two.membership.subnets?.[0]?.replace('0/24', '9') ?? '';
    two.membership.setNames([{ name: 'web', addresses: [ip] }]);
    await waitFor(() => one.membership.names.length === 1, { what: 'the name' });
    await two.kill();
    const { lease = '' } = (await etcds.client.get(at().alive(two.host))) ?? {};
    const { TTL, grantedTTL } = await etcds.client.call('/v3/lease/timetolive', { ID: lease });
    assert.deepEqual([Number(TTL) <= 30, grantedTTL], [true, '30']);
    // As its end does it.
    await etcds.client.revoke(lease);
    await waitFor(() => one.membership.isAlive(two.host) === false, { what: 'the end of the sign of life' });
    assert.deepEqual([one.membership.names, hostsSeenBy(one)], [[], [two.host]]);
  });

  it('has no tunnel with the key of a host whose copy it is, nor with subnets that are another’s, from the start on', async () => {
    await using one = await join('one');
    await using two = await join('two');
    await sees(one, two);
    const files = new OverlayStore(tempDir(), 'back');
    files.writeLease({ subnets: [...(one.membership.subnets ?? [])], instance: 'another', boot: 'another' });
    files.writePeers({ members: [...one.membership.peers], names: [] });
    const copy = await makeMember({ ...options, name: 'copy', of: { host: one.host, store: files } });
    // Of a tunnel that could be set up.
    let peers = 0;
    copy.onChange = () => {
      if (copy.membership.subnets) peers = Math.max(peers, copy.membership.peers.length);
    };
    copy.membership.start(copy.self);
    await waitFor(() => copy.membership.condition === 'duplicate', { what: 'the copy to be refused' });
    await copy.membership.close();
    assert.deepEqual([peers, one.membership.condition], [0, 'ready']);
    // Its subnets were free for more than a day.
    await using late = await makeMember({ ...options, name: 'late', of: { host: randomUUID(), store: files } });
    const subnets = new Set<string>();
    late.onChange = () => subnets.add(String(late.membership.subnets ?? 'none'));
    late.membership.start(late.self);
    await ready(late);
    assert.equal(subnets.has(String(one.membership.subnets)), false);
    assert.equal(subnets.has(String(late.membership.subnets)), true);
  });

  it('leaves nothing behind, however often members join and leave', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    await using _one = await join('one');
    const entries = async () => (await etcds.client.list(at().all)).entries.length;
    await (await join('two')).membership.leave();
    const [before, open] = [await entries(), descriptors()];
    for (let round = 0; round < 10; round++) await (await join('two')).membership.leave();
    assert.equal(await entries(), before);
    await waitFor(() => descriptors() <= open + 2, { what: 'the descriptors to be closed' });
  });

  // On a busy machine with two cores it took 93 to 169 ms.
  it('tells members of a change, in a network of many hosts', async () => {
    const members = await Promise.all(['one', 'two', 'three'].map((name) => join(name)));
    const shareOf = (index: number) => ({
      put: `${at().subnets}10.50.${index + 100}.0-24`,
      value: JSON.stringify({
        PublicIP: `192.0.2.${index}`,
        BackendType: 'wireguard',
        BackendData: { PublicKey: generateKeys().publicKey, Host: randomUUID(), Name: `host${index}`, Port: 51820 },
      }),
    });
    const own = members.map(({ membership }) => membership.subnets?.[0]?.split('.')[2]);
    const free = Array.from({ length: 60 }, (_, index) => index).filter((index) => !own.includes(`${index + 100}`));
    const shares = free.slice(0, 51).map(shareOf);
    await etcds.client.transaction([], shares.slice(0, 50));
    await Promise.all(
      members.map((member) => waitFor(() => member.membership.peers.length === 52, { what: 'all others' })),
    );
    const arrivals = members.map(
      (member) =>
        new Promise<number>((resolve) => {
          member.onChange = () => {
            if (member.membership.peers.length === 53) resolve(performance.now());
          };
        }),
    );
    const begin = performance.now();
    await etcds.client.transaction([], shares.slice(50));
    const times = (await Promise.all(arrivals)).map((time) => time - begin);
    assert.equal(times.length, members.length);
    await Promise.all(members.map((member) => member.membership.close()));
  });
});
