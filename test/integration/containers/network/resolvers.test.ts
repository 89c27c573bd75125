/** The resolvers that programs in containers bring along, each with the DNS server of its network. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { repoRoot } from '../../../support/paths.js';
import { run } from '../../../support/run.js';
import { addressOf, HOST_PROGRAMS, onNetworks, startContainer, tryIn } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { tempDir } from '../../../support/temp-dir.js';

/** For c-ares, which is the resolver of `dns.resolve…` in Node: calls one of them, and prints its result or error code. */
const NODE = `const [, call, name] = process.argv;
require('node:dns')[call](name, (error, result) => console.log(error ? error.code : result.join()));`;

describe('the DNS server of a network', () => {
  const stack = withContainerStack({ keep: true });
  let redis = '';
  /** Runs a program in a container with a search list, whose hosts file has no names. */
  const inside = async (...command: string[]) => {
    const { code, output } = await tryIn(stack, 'client', ...command);
    return { code, output: output.trim() };
  };

  before(async () => {
    await stack.containers.createNetwork({ name: 'back', subnets: ['10.76.0.0/24'] });
    const programs = tempDir();
    const source = join(repoRoot, 'test/programs/resolve.c');
    const musl = await run('musl-gcc', ['-static', '-o', join(programs, 'resolve'), source], {
      // The compiler behind it, which finds assembler and linker beside itself.
      env: { REALGCC: '/usr/bin/gcc', PATH: '/usr/bin' },
    });
    assert.equal(musl.code, 0, musl.stderr);
    const network = onNetworks('back');
    const mounts = [...HOST_PROGRAMS, `${programs}:/programs:ro`];
    [redis] = await Promise.all([
      startContainer(stack, { name: 'redis', network }).then((report) => addressOf(report)),
      startContainer(stack, { name: 'client', network, mounts, dnsSearch: ['corp.test'] }),
    ]);
    await inside('sh', '-c', ': > /etc/hosts');
  });

  it('is understood by musl: names, with a search list, and without records of a type', async () => {
    for (const name of ['redis', 'redis.back', 'redis.corp.test', 'REDIS.rootless.internal']) {
      assert.deepEqual(await inside('/programs/resolve', name), { code: 0, output: redis });
    }
    assert.equal((await inside('/programs/resolve', 'redis', '6')).code, 1);
    assert.equal((await inside('/programs/resolve', 'nothing.rootless.internal')).code, 1);
  });

  it('is understood by glibc', async () => {
    for (const name of ['redis', 'redis.back', 'redis.corp.test', 'REDIS.rootless.internal']) {
      assert.match((await inside('getent', 'ahosts', name)).output, new RegExp(`^${redis} +STREAM`), name);
    }
    // It has no IPv6 address: getent(1) maps the other.
    assert.match((await inside('getent', 'ahostsv6', 'redis')).output, new RegExp(`^::ffff:${redis} `));
    assert.equal((await inside('getent', 'ahosts', 'nothing.rootless.internal')).code, 2);
    assert.match((await inside('getent', 'hosts', redis)).output, /redis\.back$/);
  });

  it('is understood by c-ares', async () => {
    const node = async (call: string, name: string) => (await inside(process.execPath, '-e', NODE, call, name)).output;
    const asked = [
      ['resolve4', 'redis', redis],
      ['resolve4', 'Redis.Back.rootless.internal', redis],
      ['resolve6', 'redis', 'ENODATA'],
      ['resolve4', 'nothing.rootless.internal', 'ENOTFOUND'],
      ['reverse', redis, 'redis.back'],
    ] as const;
    assert.deepEqual(
      await Promise.all(asked.map(([call, name]) => node(call, name))),
      asked.map(([, , expected]) => expected),
    );
  });

  it("is understood by Go's resolver", async () => {
    const connect = async (name: string) =>
      (
        await inside(
          'env',
          ...['GODEBUG=netdns=go', 'ETCDCTL_API=2', 'etcdctl', '--endpoints', `http://${name}:2379`, 'ls'],
        )
      ).output;
    for (const name of ['redis', 'redis.back', 'redis.corp.test']) {
      assert.match(await connect(name), new RegExp(`dial tcp ${redis}:2379: connect: connection refused`), name);
    }
    assert.match(
      await connect('nothing.rootless.internal'),
      /lookup nothing\.rootless\.internal on 10\.76\.0\.1:53: no such host/,
    );
  });
});
