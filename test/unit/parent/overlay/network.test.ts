import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Announcement, Membership } from '../../../../parent/overlay/membership.js';
import { OverlayNetwork } from '../../../../parent/overlay/network.js';
import { OverlayStore } from '../../../../parent/overlay/store.js';
import { publicKeyOf } from '../../../../protocol/wireguard/keys.js';
import { tempDir, waitFor } from '../../../support/index.js';

interface NetworkOptions {
  mode?: 'static' | 'etcd';
  /** Of the host. */
  mtu?: number | undefined;
  rotationMs?: number;
}

/** A network whose membership, port and agent only note what they are asked for. */
function makeNetwork({ mode = 'etcd', mtu, rotationMs = 0 }: NetworkOptions = {}) {
  const store = new OverlayStore(tempDir(), 'back');
  const steps: string[] = [];
  let failure: Error | undefined;
  let refusal: Error | undefined;
  const membership: Membership = {
    condition: 'ready',
    reason: undefined,
    subnets: ['10.50.1.0/24'],
    peers: [],
    names: [],
    isAlive: () => true,
    async announce({ publicKey, nextKey, address }: Announcement) {
      if (refusal) throw refusal;
      steps.push(`announce ${publicKey}${nextKey === undefined ? '' : `, then ${nextKey}`} at ${address}`);
    },
    setNames: (names) => {
      steps.push(`names ${JSON.stringify(names)}`);
    },
    expel: async () => {},
    requireReachable: async () => {},
    leave: async () => {},
    close: async () => {},
  };
  const warnings: string[] = [];
  let address = '192.0.2.1';
  const network: OverlayNetwork = new OverlayNetwork({
    config: {
      ...{
        name: 'back',
        mode,
        host: randomUUID(),
        hostName: 'one',
        networks: ['10.50.0.0/16'],
        internal: false,
        port: 51820,
      },
    },
    store,
    port: { close: async () => {} },
    address: () => address,
    mtuAt: () => mtu,
    async push() {
      if (failure) throw failure;
      steps.push(`use ${publicKeyOf(network.state()?.privateKey ?? '')}`);
    },
    warn: (line) => warnings.push(line),
    rotationMs,
  });
  network.use(membership);
  store.writeLease({ subnets: ['10.50.1.0/24'] });
  return {
    ...{ network, store, steps, warnings },
    move: (to: string) => {
      address = to;
    },
    fail: (error: Error | undefined) => {
      failure = error;
    },
    refuse: (error: Error | undefined) => {
      refusal = error;
    },
  };
}

describe('an overlay network of a host', () => {
  it('announces its next key before it uses that, and keeps it', async () => {
    const { network, store, steps } = makeNetwork();
    const before = network.announcement().publicKey;
    await network.rotate();
    const { publicKey } = network.announcement();
    assert.notEqual(publicKey, before);
    assert.equal(steps[0], `announce ${before}, then ${publicKey} at 192.0.2.1`);
    assert.deepEqual(steps.slice(1).sort(), [`announce ${publicKey} at 192.0.2.1`, `use ${publicKey}`]);
    assert.equal(store.keyPair().publicKey, publicKey);
  });

  it('replaces a key that is old, and none whose age is not known, such as after the clock was set', async () => {
    const { network, store, steps } = makeNetwork();
    const madeAt = (keyMade: number) => store.writeLease({ subnets: ['10.50.1.0/24'], keyMade });
    await network.lookAround();
    assert.ok(Math.abs((store.lease()?.keyMade ?? 0) - Date.now()) < 60_000);
    madeAt(Date.now() + 1e9);
    await network.lookAround();
    assert.deepEqual(steps, []);
    madeAt(Date.now() - 31 * 24 * 3600 * 1000);
    await network.lookAround();
    assert.equal(steps.length, 3);
    await network.lookAround();
    assert.equal(steps.length, 3);
  });

  it('does not replace the key of a static network, which nobody would be told', async () => {
    await assert.rejects(makeNetwork({ mode: 'static' }).network.rotate(), /static network cannot be replaced/);
  });

  it('announces names of its own addresses, and changes that come together once', async () => {
    const { network, steps } = makeNetwork();
    network.setNames([{ name: 'web', addresses: ['10.50.1.2', '10.50.2.2'] }]);
    await waitFor(() => steps.length === 1, { what: 'the names' });
    for (let index = 0; index < 100; index++) network.setNames([{ name: `web-${index}`, addresses: ['10.50.1.2'] }]);
    network.setNames([{ name: 'db', addresses: ['10.50.2.2'] }]);
    await waitFor(() => steps.length === 2, { what: 'the last names' });
    assert.deepEqual(steps, ['names [{"name":"web","addresses":["10.50.1.2"]}]', 'names []']);
  });

  it('announces another address of its host', async () => {
    const { network, steps, move } = makeNetwork();
    await network.announce();
    await network.lookAround();
    assert.equal(steps.length, 1);
    move('192.0.2.2');
    await network.lookAround();
    assert.match(steps[1] ?? '', / at 192\.0\.2\.2$/);
    move('');
    await network.lookAround();
    assert.equal(steps.length, 2);
  });

  it('keeps its key where the next one cannot be announced, and announces then that there is none', async () => {
    const { network, store, steps, warnings, refuse } = makeNetwork();
    await network.announce();
    const before = network.announcement();
    refuse(new Error('etcd does not answer'));
    await assert.rejects(network.rotate(), /etcd does not answer/);
    assert.deepEqual([network.announcement(), store.keyPair().publicKey], [before, before.publicKey]);
    for (let times = 0; times < 3; times++) await network.lookAround();
    assert.deepEqual(warnings, ['etcd does not answer']);
    refuse(undefined);
    steps.length = 0;
    await network.rotate();
    assert.equal(steps.length, 3);
  });

  it('is not kept waiting by a rotation when it is closed', async () => {
    const { network } = makeNetwork({ rotationMs: 60_000 });
    const rotation = assert.rejects(network.rotate(), /the network back is being closed/);
    await new Promise(setImmediate);
    await network.close(false);
    await rotation;
  });

  it('has devices whose packets fit into those of the host', () => {
    for (const [host, inside] of [
      [undefined, 1420],
      [1500, 1420],
      [9000, 1420],
      [1400, 1320],
    ] as const) {
      assert.equal(makeNetwork({ mtu: host }).network.state()?.mtu, inside);
    }
  });

  it('reports why the agent cannot set it up, warns of that once, and tries again', async () => {
    const { network, warnings, fail } = makeNetwork();
    fail(new Error('no WireGuard'));
    await network.refresh().catch(() => {});
    network.changed();
    await new Promise(setImmediate);
    const { condition, reason } = network.report([]);
    assert.deepEqual([condition, reason, warnings], ['failed', 'no WireGuard', ['no WireGuard']]);
    await network.lookAround();
    await new Promise(setImmediate);
    assert.equal(warnings.length, 1);
    fail(undefined);
    await network.lookAround();
    await new Promise(setImmediate);
    assert.equal(network.report([]).condition, 'ready');
  });
});

describe('the files of an overlay network', () => {
  it('have a key that nobody else reads, or are refused', async () => {
    const { store } = makeNetwork();
    const { publicKey } = store.keyPair();
    assert.equal(store.keyPair().publicKey, publicKey);
    const { chmodSync, statSync, writeFileSync } = await import('node:fs');
    const path = `${store.directory}/key`;
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(store.directory).mode & 0o777, 0o700);
    chmodSync(path, 0o644);
    assert.throws(() => store.keyPair(), /other users have access to the key/);
    chmodSync(path, 0o600);
    writeFileSync(path, 'nonsense');
    assert.throws(() => store.keyPair(), /is not a key/);
    writeFileSync(`${store.directory}/peers.json`, '{"members":[{}]}');
    assert.deepEqual(store.peers(), { members: [], names: [] });
    writeFileSync(`${store.directory}/config.json`, '{}');
    assert.throws(() => store.config(), /missing or invalid; hint: remove|missing or invalid/);
  });
});
