/** Names that the host's programs ask for (`--dns-publish`): of named stacks, and of containers. */
import assert from 'node:assert/strict';
import { run, startStack, waitFor } from '../../support/index.js';
import { addressOf, execIn, kill, onNetworks, startContainer } from '../../support/stacks/containers.js';
import { withContainerStack } from '../../support/stacks/with-stack.js';

describe('names for the host', () => {
  const stack = withContainerStack({ args: ['--net=none', '--name=dev', '--dns-publish=0'], keep: true });
  let port = '';
  before(async () => {
    const { hostNames } = await stack.api.info();
    port = /^127\.0\.0\.1:(\d+)$/.exec(hostNames?.address ?? '')?.[1] ?? assert.fail('no address');
  });

  /** The status, and the data of the answers. */
  const ask = async (...question: string[]) => {
    const { stdout } = await run('dig', ['+noall', '+comments', '+answer', '@127.0.0.1', '-p', port, ...question]);
    const data = [...stdout.matchAll(/^[^;\s]\S*\s+\d+\s+IN\s+\S+\s+(\S+)$/gm)].map(([, text]) => text);
    return [/status: (\w+)/.exec(stdout)?.[1], ...data.sort()];
  };
  const settled = (question: string[], expected: unknown[]) =>
    waitFor(async () => JSON.stringify(await ask(...question)) === JSON.stringify(expected), {
      what: `${question.join(' ')}: ${expected.join()}`,
    });

  it('are those of containers: where their ports are published, and on their networks', async () => {
    await stack.containers.createNetwork({ name: 'back', subnets: ['10.77.0.0/24'] });
    const publish = [{ hostIP: '127.0.0.7', hostPort: 0, containerPort: 80, protocol: 'tcp' as const }];
    const [web, db] = await Promise.all([
      startContainer(stack, { name: 'web', network: onNetworks('back'), publish }),
      startContainer(stack, { name: 'db', network: onNetworks('back') }),
    ]);
    await settled(['db.rootless.internal'], ['NOERROR', addressOf(db)]);
    await settled(['Web.rootless.internal'], ['NOERROR', '127.0.0.7']);
    assert.deepEqual(await ask('+tcp', 'web.back.rootless.internal'), ['NOERROR', addressOf(web)]);
    assert.deepEqual(await ask('web.rootless.internal', 'AAAA'), ['NOERROR']);
    // What names are below exists, for resolvers that ask from the top.
    assert.deepEqual(await ask('back.rootless.internal'), ['NOERROR']);
    assert.deepEqual(await ask('-x', addressOf(db)), ['NOERROR', 'db.back.rootless.internal.']);
    assert.deepEqual(await ask('-x', '10.77.0.99'), ['NXDOMAIN']);
    assert.deepEqual(await ask('none.rootless.internal'), ['NXDOMAIN']);
    for (const name of ['example.test', 'db', 'internal']) assert.deepEqual(await ask(name), ['REFUSED'], name);
    assert.deepEqual(await ask('-x', '192.0.2.1'), ['REFUSED']);
    assert.match(await stack.must('dns'), /^the host: 127\.0\.0\.1:\d+; queries: \d+ own, \d+ missing, \d+ refused$/m);

    // Also without an agent.
    for (const agent of stack.agents()) kill(agent);
    assert.deepEqual(await ask('db.rootless.internal'), ['NOERROR', addressOf(db)]);
    await stack.settled();
    await stack.containers.remove('db', { force: true });
    await settled(['db.rootless.internal'], ['NXDOMAIN']);
    // The stack's own name, for its containers: its other programs are at the gateway.
    assert.match(await execIn(stack, 'web', 'nslookup', 'dev.rootless.internal'), /Address.*10\.77\.0\.1$/m);
  });

  it('are those of stacks with a name: where their ports are published, from their start to their end', async () => {
    const { env } = stack;
    const other = await startStack({ args: ['--net=none', '--name=Shop'], publish: ['127.0.0.8:0:7003'], env });
    try {
      await settled(['shop.rootless.internal'], ['NOERROR', '127.0.0.8']);
      await other.api.addPort({ proto: 'tcp', parentIP: '127.0.0.6', parentPort: 0, childPort: 7004 });
      await settled(['shop.rootless.internal'], ['NOERROR', '127.0.0.6', '127.0.0.8']);
    } finally {
      await other[Symbol.asyncDispose]();
    }
    await settled(['shop.rootless.internal'], ['NXDOMAIN']);
    assert.deepEqual(await ask('dev.rootless.internal'), ['NXDOMAIN']);
    const { id } = await stack.api.addPort({ proto: 'tcp', parentIP: '', parentPort: 0, childPort: 7005 });
    await settled(['dev.rootless.internal'], ['NOERROR', '127.0.0.1']);
    await stack.api.removePort(id);
    await settled(['dev.rootless.internal'], ['NXDOMAIN']);
  });
});
