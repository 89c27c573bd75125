import assert from 'node:assert/strict';
import { type Started, start, tempDir, waitFor } from '../../../support/index.js';
import {
  type OverlayHost,
  type OverlayHosts,
  startOverlayHost,
  startOverlayHosts,
} from '../../../support/overlay/container-hosts.js';
import { addressOf, IDLE, WEB } from '../../../support/stacks/containers.js';

/** Of the network between the hosts. */
const ETCD = '192.0.2.254';

describe('an overlay network with etcd', () => {
  let all: OverlayHosts;
  let hosts: OverlayHost[] = [];
  let etcd: Started;
  let token: string;
  const at = (index: number): OverlayHost => hosts[index] ?? assert.fail('no such host');

  before(async () => {
    all = await startOverlayHosts({}, {});
    hosts = [...all.hosts];
    const [program = '', ...words] = all.network.between;
    const url = `http://${ETCD}:2379`;
    const script = `ip addr replace ${ETCD}/24 dev net0 && exec etcd "$@"`;
    const options = [
      '--data-dir',
      tempDir(),
      '--logger',
      'zap',
      '--listen-client-urls',
      url,
      '--advertise-client-urls',
      url,
    ];
    etcd = await start(program, [...words, 'sh', '-c', script, 'sh', ...options], {
      ready: { output: /serving (insecure )?client (requests|traffic)/ },
    });
  });
  after(async () => {
    for (const { stack } of hosts) await stack[Symbol.asyncDispose]();
    await etcd?.stop('SIGKILL');
    await all?.[Symbol.asyncDispose]();
  });

  const fetches = async (host: OverlayHost, from: string, name: string) =>
    (await host.net('exec', from, 'curl', '-sS', '-m', '2', `http://${name}/`)).code === 0;

  it('is joined with one token, and has the names of all members', async () => {
    const etcdOptions = ['--etcd', `http://${ETCD}:2379`, '--internal'];
    token = await at(0).must('overlay', 'create', 'back', ...etcdOptions, '--host-name', 'one');
    assert.equal(await at(1).must('overlay', 'join', token, '--host-name', 'two'), '');
    // More than fits into a packet from the agent to the parent.
    const aliases = Array.from({ length: 1500 }, (_, index) => `alias-${index}-${'x'.repeat(40)}`);
    const options = aliases.flatMap((alias) => ['--network-alias', alias]);
    await at(0).start('back', 'web', WEB, '--restart', 'always', ...options);
    await at(1).start('back', 'client', IDLE, '--restart', 'always');
    await waitFor(() => fetches(at(1), 'client', 'web'), { what: 'the page', timeout: 20_000 });
    const last = ['dns', 'query', '--network', 'back', aliases.at(-1) ?? ''];
    await waitFor(async () => (await at(1).net(...last)).stdout.includes('10.50.'), { what: 'the last alias' });
    const { condition, members } = await at(0).status('back');
    assert.equal(condition, 'ready');
    // By the addresses that etcd is reached from.
    const known = members.map(({ name, address, alive }) => ({ name, address, alive }));
    assert.deepEqual(known, [
      { name: 'one', address: '192.0.2.1', alive: true },
      { name: 'two', address: '192.0.2.2', alive: true },
    ]);
  });

  it('has several stacks of one host as members, as of several users', async () => {
    const third = await startOverlayHost(at(0).host);
    hosts.push(third);
    await third.must('overlay', 'join', token, '--host-name', 'three');
    await third.start('back', 'third', WEB);
    const { members } = await third.status('back');
    const ports = members.map(({ name, address, port }) => `${name} ${address} ${port}`).sort();
    assert.deepEqual(ports, ['one 192.0.2.1 51820', 'three 192.0.2.1 51821', 'two 192.0.2.2 51820']);
    // Over the network, and from one to the other on the host.
    await waitFor(() => fetches(at(1), 'client', 'third'), { what: 'the page', timeout: 20_000 });
    await waitFor(() => fetches(third, 'third', 'web'), { what: 'the page on the same host', timeout: 20_000 });
    await third.must('rm', '-f', 'third');
    await third.must('overlay', 'leave', 'back');
    await waitFor(async () => (await at(1).status('back')).members.length === 2, { what: 'it to be gone' });
    hosts.pop();
    await third.stack[Symbol.asyncDispose]();
  });

  it('is internal on all hosts: containers reach each other there, and nothing outside', async () => {
    const outside = (host: OverlayHost, name: string) =>
      host.net('exec', name, 'curl', '-sS', '-m', '2', `http://${ETCD}:2379/version`);
    for (const [host, name] of [
      [at(0), 'web'],
      [at(1), 'client'],
    ] as const) {
      const { code, stderr } = await outside(host, name);
      assert.equal(code, 7, stderr);
      assert.equal((await host.stack.enter(['curl', '-sS', '-m', '5', `http://${ETCD}:2379/version`])).code, 0);
    }
  });

  it('has new keys without a break', async () => {
    const before = (await at(1).status('back')).members.map(({ publicKey }) => publicKey);
    const web = addressOf(await at(0).stack.containers.inspect('web'));
    const pinging = at(1).net('exec', 'client', 'ping', '-n', '-q', '-i', '0.05', '-c', '250', '-W', '1', web);
    await at(0).must('overlay', 'rotate', 'back');
    const { stdout } = await pinging;
    const after = (await at(1).status('back')).members.map(({ publicKey }) => publicKey);
    assert.equal(before.filter((key) => after.includes(key)).length, 1);
    const lost = 250 - Number(/(\d+)( packets)? received/.exec(stdout)?.[1] ?? 0);
    assert.ok(lost <= 40, stdout);
  });

  it('goes on without etcd, also when the stack was killed and is started again', async () => {
    await etcd.stop('SIGKILL');
    const { home } = at(0).stack;
    // As where the machine fails.
    await at(0).stack.killAll();
    hosts[0] = await startOverlayHost(at(0).host, { home });
    await waitFor(() => fetches(at(1), 'client', 'web'), { what: 'the page again', timeout: 20_000 });
    const { condition, reason } = await at(0).status('back');
    assert.equal(condition, 'waiting');
    assert.match(reason ?? '', /etcd/);
    const refused = await at(0).net('overlay', 'leave', 'back');
    assert.match(refused.stderr, /^error: cannot leave back: etcd does not answer at .*--force/);
    assert.match((await at(0).net('overlay', 'leave', '-f', 'back')).stderr, /in use by the container web/);
    await at(1).must('rm', '-f', 'client');
    await at(1).must('overlay', 'leave', '-f', 'back');
    assert.equal(await at(1).must('overlay', 'ls', '--json'), '[]');
    assert.match((await at(1).net('network', 'inspect', 'back')).stderr, /no such network/);
  });
}).timeout(60_000);
