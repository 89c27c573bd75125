/** The DNS servers of container networks, as programs in containers use them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NewContainer } from '../../../../parent/client/container-client.js';
import type { AttachmentRequest } from '../../../../protocol/containers/types.js';
import { programPath, waitFor } from '../../../support/index.js';
import {
  addressOf,
  execIn,
  HOST_PROGRAMS,
  kill,
  onNetworks,
  startContainer,
  tryIn,
} from '../../../support/stacks/containers.js';
import { ownHost } from '../../../support/stacks/own-host.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('names on container networks', () => {
  /** A host with a resolver (dnsmasq) on its loopback only, and one at 198.51.100.2, which has other answers. */
  const host = ownHost(`
serve() {
  setpriv --pdeathsig TERM dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
    --listen-address=$1 --bind-interfaces --except-interface=none --address=/example.test/$2 --pid-file= --user=root --group=root &
}
serve 127.0.0.1 203.0.113.80
serve 198.51.100.2 203.0.113.81`);
  before(() => writeFileSync(host.resolvConf, 'nameserver 127.0.0.1\nsearch corp.test\n'));
  const stack = withContainerStack({ args: ['--net=auto'], wrapper: host.wrapper });

  const startOn = (name: string, networks: (string | AttachmentRequest)[], more: NewContainer = {}) =>
    startContainer(stack, { name, network: onNetworks(...networks), ...more });
  const lookUp = async (from: string, ...args: string[]) => {
    return (await tryIn(stack, from, 'nslookup', ...args)).output;
  };

  it('are those of the containers, without the hosts file, and all others the host knows', async () => {
    await stack.containers.createNetwork({ name: 'back', subnets: ['10.71.0.0/24', 'fd00:71::/64'] });
    await Promise.all([
      startOn('redis', ['back'], { hostname: 'box' }),
      startOn('replica', [{ network: 'back', aliases: ['redis-any'] }]),
      startOn('c', ['back']),
    ]);
    assert.equal(await execIn(stack, 'c', 'cat', '/etc/resolv.conf'), 'search corp.test\nnameserver 10.71.0.1\n');
    const own = addressOf(await stack.containers.inspect('redis'));
    for (const name of ['redis', 'BOX', 'redis.back', 'redis.rootless.internal']) {
      assert.match(await lookUp('c', name), new RegExp(`Address.*${own}`), name);
    }
    assert.match(await lookUp('c', own), /name = redis\.back/);
    assert.match(await lookUp('c', 'redis-any.back'), /10\.71\.0\./);
    assert.match(await lookUp('c', 'example.test'), /203\.0\.113\.80/);
    assert.match(await lookUp('c', 'none.rootless.internal'), /NXDOMAIN/);
    // Without its hosts file, so that getaddrinfo(3) has the server only.
    await execIn(stack, 'c', 'sh', '-c', ': > /etc/hosts');
    assert.match(await execIn(stack, 'c', 'ping', '-c', '1', '-w', '5', 'redis'), /^PING redis .* 0% packet loss/s);

    writeFileSync(host.resolvConf, 'nameserver 198.51.100.2\nsearch corp.test\n');
    await waitFor(async () => /203\.0\.113\.81/.test(await lookUp('c', 'example.test')), {
      what: 'the other resolver',
    });
    writeFileSync(host.resolvConf, 'nameserver 127.0.0.1\nsearch corp.test\n');

    assert.match(
      await stack.must('dns', 'query', own, '--network', 'back', '--type', 'PTR'),
      /in-addr\.arpa 5 PTR redis\.back$/m,
    );
    await stack.containers.stop('redis');
    assert.match(await lookUp('c', 'redis.back'), /NXDOMAIN/);
    assert.match(await stack.must('dns', '--network', 'back'), /^back: 10\.71\.0\.1, fd00:71::1; queries: \d+ own/);
    assert.match(
      await stack.must('dns', 'query', 'redis-any', '--network', 'back'),
      /^redis-any 5 A 10\.71\.0\.\d+\nanswered by: the network's own names: container replica$/,
    );
  });

  it('are its own only on an internal network, and of both networks for who is on two', async () => {
    await stack.containers.createNetwork({ name: 'inside', internal: true, subnets: ['10.72.0.0/24'] });
    await stack.containers.createNetwork({ name: 'out', subnets: ['10.73.0.0/24'] });
    await Promise.all([startOn('db', ['inside']), startOn('app', ['inside', 'out']), startOn('web', ['out'])]);
    assert.match(await lookUp('db', 'app'), /10\.72\.0\./);
    assert.match(await lookUp('db', 'example.test'), /NXDOMAIN/);
    assert.match(await lookUp('db', 'web'), /NXDOMAIN/);
    assert.match(await lookUp('app', 'db'), /10\.72\.0\./);
    assert.match(await lookUp('app', 'web'), /10\.73\.0\./);
    assert.match(await lookUp('app', 'example.test'), /203\.0\.113\.80/);
    assert.match(await lookUp('web', 'db'), /NXDOMAIN|SERVFAIL|REFUSED/);
    // The server of a network that it is not on: its port 53 is that of the stack's own programs, of which there are none.
    assert.match(await lookUp('web', 'db', '10.72.0.1'), /refused|no servers could be reached/i);
  });

  it('are asked of the servers of --dns, which are reached as the container reaches them', async () => {
    await stack.containers.createNetwork({ name: 'own', subnets: ['10.74.0.0/24'] });
    await Promise.all([startOn('redis', ['own']), startOn('c', ['own'], { dns: ['198.51.100.2'] })]);
    assert.match(await lookUp('c', 'redis'), /10\.74\.0\./);
    assert.match(await lookUp('c', 'example.test'), /203\.0\.113\.81/);
    assert.match(
      await stack.must('dns', 'query', 'example.test', '--network', 'own', '--container', 'c'),
      /203\.0\.113\.81\nanswered by: the DNS servers of the container/,
    );
  });

  it('are answered by the next agent where one dies: at most one query of each client is lost', async () => {
    await stack.containers.createNetwork({ name: 'stays', subnets: ['10.75.0.0/24'] });
    const program = '/programs/dns-clients.js';
    const mounts = [...HOST_PROGRAMS, `${dirname(programPath('dns-clients'))}:/programs:ro`];
    const command = [process.execPath, program, '10.75.0.1', 'redis.stays', '16', '/tmp/stop'];
    await Promise.all([startOn('redis', ['stays']), startOn('c', ['stays'], { mounts, command })]);
    await waitFor(async () => /begun/.test(await stack.must('logs', 'c')), { what: 'answers' });
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    await execIn(stack, 'c', 'touch', '/tmp/stop');
    await waitFor(async () => /\]$/.test(await stack.must('logs', 'c')), { what: 'the end' });
    const outcomes = JSON.parse((await stack.must('logs', 'c')).replace('begun', '')) as Record<string, number>[];
    assert.equal(outcomes.length, 16);
    for (const { answers = 0, retries = 9, wrong } of outcomes) {
      assert.ok(answers > 1 && retries <= 1, JSON.stringify(outcomes));
      assert.equal(wrong, 0);
    }
  });
});
