import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  IDLE,
  kill,
  startContainer,
  startContainerStack,
} from '../../../support/stacks/containers.js';

describe('names of containers', () => {
  const home = tempDir();
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack({ home });
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const { id } of await stack.containers.list()) await stack.containers.remove(id, { force: true });
    assert.deepEqual(stack.files(), []);
  });

  const create = (name?: string) => stack.containers.create({ name, rootfs: busyboxRootfs(), command: IDLE });
  const owner = (name: string) => readFileSync(join(stack.dataDir, 'names', name), 'utf8');
  const taken = (name: string, id: string) => ({
    httpStatus: 409,
    message: `the name ${name} is already used by the container ${id.slice(0, 12)}; choose another one, or remove that container`,
  });

  it('are friendly where none is given, and each another one', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => create()));
    for (const { id, name } of made) {
      assert.match(name, /^[a-z]+_[a-z]+$/);
      for (const text of [name, id, id.slice(0, 12)]) assert.equal((await stack.containers.inspect(text)).id, id);
    }
    assert.equal(new Set(made.map(({ name }) => name)).size, made.length);
  });

  it('belong to one container from its making to its removal, also while it is stopped, and in the next stack', async () => {
    const { id } = await create('mine');
    await assert.rejects(create('mine'), taken('mine', id));
    await stack.containers.start('mine');
    await assert.rejects(create('mine'), taken('mine', id));
    await stack.containers.stop('mine');
    await assert.rejects(create('mine'), taken('mine', id));
    const other = await create('other');
    await assert.rejects(stack.containers.rename('other', 'mine'), taken('mine', id));
    assert.equal((await stack.containers.inspect(other.id)).name, 'other');

    await stack.started.stop();
    stack = await startContainerStack({ home });
    assert.equal((await stack.containers.inspect('mine')).id, id);
    await assert.rejects(create('mine'), taken('mine', id));
    assert.equal((await stack.containers.start('mine')).id, id);
    await stack.containers.remove('mine', { force: true });
    const { id: next } = await create('mine');
    assert.notEqual(next, id);
    assert.equal(owner('mine'), next);
  });

  it('are given to one of many concurrent requests for them', async () => {
    const results = await Promise.allSettled(Array.from({ length: 16 }, () => create('wanted')));
    const won = results.filter((result) => result.status === 'fulfilled');
    assert.equal(won.length, 1);
    const id = won[0]?.value.id ?? '';
    for (const result of results) {
      if (result.status === 'rejected') assert.equal(result.reason.message, taken('wanted', id).message);
    }
    assert.deepEqual(
      (await stack.containers.list()).map((report) => report.id),
      [id],
    );
    assert.equal(owner('wanted'), id);

    const others = await Promise.all(['a1', 'a2', 'a3', 'a4'].map(create));
    const renamed = await Promise.allSettled(others.map((other) => stack.containers.rename(other.id, 'next')));
    assert.equal(renamed.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await stack.containers.list()).filter(({ name }) => name === 'next').length, 1);
  });

  it('are won by one, while gc repairs all the time', async () => {
    let done = false;
    const collecting = (async () => {
      while (!done) await stack.containers.gc({ repair: true });
    })();
    try {
      for (let time = 0; time < 20; time++) {
        const results = await Promise.allSettled([create('wanted'), create('wanted')]);
        const ids = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.id] : []));
        assert.equal(ids.length, 1);
        await stack.containers.rename('wanted', 'renamed');
        assert.equal(owner('renamed'), ids[0]);
        await stack.containers.remove('renamed');
      }
    } finally {
      done = true;
      await collecting;
    }
  });

  it('change, and the old one is free', async () => {
    const { id } = await startContainer(stack, { name: 'before' });
    const peer = await startContainer(stack, { name: 'peer' });
    assert.equal(await stack.must('rename', 'before', 'after.new'), '');
    assert.equal((await stack.containers.inspect('after.new')).id, id);
    await assert.rejects(stack.containers.inspect('before'), { httpStatus: 404, message: 'no such container: before' });
    const hosts = readFileSync(join(peer.directory, 'hosts'), 'utf8');
    assert.match(hosts, /\tafter\.new /);
    assert.doesNotMatch(hosts, /\bbefore\b/);
    // Back and forth, and to what it has.
    await stack.containers.rename('after.new', 'before');
    await stack.containers.rename('before', 'before');
    await stack.containers.rename('before', 'after.new');
    await create('before');
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    assert.equal((await stack.containers.inspect('after.new')).id, id);
  });

  it('distinguish by status and message what does not exist from invalid input', async () => {
    const { id } = await create('c');
    const missing = { httpStatus: 404, message: 'no such container: nobody' };
    const { containers } = stack;
    await assert.rejects(containers.start('nobody'), missing);
    await assert.rejects(containers.stop('nobody'), missing);
    await assert.rejects(containers.kill('nobody'), missing);
    await assert.rejects(containers.remove('nobody'), missing);
    await assert.rejects(containers.rename('nobody', 'x'), missing);
    await assert.rejects(containers.wait('nobody'), missing);
    await assert.rejects(containers.connect('bridge', 'nobody'), missing);
    await containers.stop('c');
    await assert.rejects(containers.kill('c'), { httpStatus: 409, message: 'the container c is not running' });
    await assert.rejects(containers.rename('c', '-x'), { httpStatus: 400 });
    assert.equal((await containers.inspect(id.slice(0, 12))).id, id);
  });

  it('are unlike the beginnings of ids: those of several containers are refused', async () => {
    const { containers } = stack;
    // Seventeen ids cannot all begin with different digits.
    const ids = await Promise.all(Array.from({ length: 17 }, async () => (await create()).id));
    const first = ids.map(([digit = '']) => digit).find((digit, index, all) => all.indexOf(digit) !== index) ?? '';
    await assert.rejects(containers.inspect(first), {
      httpStatus: 409,
      message: `multiple containers found with the prefix ${first}; give more of the id`,
    });
    const { id } = await create(first);
    assert.equal((await containers.inspect(first)).id, id);
  });
});
