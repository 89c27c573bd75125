// What is kept of containers on disk: the journal, names, and records.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { ConflictError, NoSuchContainerError } from '../../../../../child/container/errors.js';
import { type ContainerRecord, ContainerStore } from '../../../../../child/container/storage/container-store.js';
import { FaultInjector } from '../../../../../child/container/storage/fault-injection.js';
import { type AttachIntent, Journal } from '../../../../../child/container/storage/journal.js';
import { NameRegistry } from '../../../../../child/container/storage/name-registry.js';
import { parseContainerRequest } from '../../../../../protocol/containers/schemas.js';
import { FileError } from '../../../../../protocol/errors/file-error.js';
import { tempDir } from '../../../../support/index.js';

describe('the journal of networks', () => {
  const id = 'a'.repeat(64);
  const intent: AttachIntent = {
    id,
    own: true,
    stack: 'run1',
    name: 'web',
    netns: '/proc/7/ns/net',
    pid: 7,
    startTime: '1234',
    attachments: [{ network: 'bridge', ifname: 'eth0' }],
    publish: [],
  };
  function setup() {
    const directory = join(tempDir(), 'journal');
    return { directory, file: join(directory, id), journal: new Journal(directory, new FaultInjector(undefined)) };
  }

  it('knows what was begun and done, in order', async () => {
    const { file, journal } = setup();
    assert.deepEqual([await journal.read(id), await journal.ids()], [undefined, []]);
    await journal.begin(intent);
    assert.equal(await journal.step(id, 'ports', () => 5), 5);
    await assert.rejects(
      journal.step(id, 'device:eth0', async () => {
        // It is on disk before anything is done.
        assert.deepEqual((await journal.read(id))?.begun, ['ports', 'device:eth0']);
        throw new Error('no');
      }),
      { message: 'no' },
    );
    const state = { begun: ['ports', 'device:eth0'], done: ['ports'] };
    assert.deepEqual(await journal.read(id), { ...intent, ...state, complete: false, detaching: false });
    await journal.complete(id);
    await journal.detaching(id);
    assert.deepEqual(await journal.read(id), { ...intent, ...state, complete: true, detaching: true });
    assert.deepEqual(await journal.ids(), [id]);
    await journal.begin({ ...intent, stack: 'run2' });
    const again = await journal.read(id);
    assert.deepEqual([again?.stack, again?.begun, again?.complete, again?.detaching], ['run2', [], false, false]);
    await journal.end(id);
    await journal.end(id);
    assert.deepEqual([existsSync(file), await journal.ids()], [false, []]);
  });

  for (const [what, tail, expected] of [
    ['a last line that is torn', '{"step":"names"}\n{"done":"na', { begun: ['ports', 'names'], done: ['ports'] }],
    ['a last line without its end', '{"step":"names"}', { begun: ['ports', 'names'], done: ['ports'] }],
    [
      'steps that are not known',
      '{"step":"later"}\n{"done":"later"}\n',
      { begun: ['ports', 'later'], done: ['ports', 'later'] },
    ],
    ['lines of other kinds', '{"news":1}\n7\nnull\n[]\n"x"\n\n', { begun: ['ports'], done: ['ports'] }],
    ['zeros, as a crash of the machine leaves', '\0\0\0\0', { begun: ['ports'], done: ['ports'] }],
  ] as const) {
    it(`is read in spite of ${what}`, async () => {
      const { file, journal } = setup();
      await journal.begin(intent);
      appendFileSync(file, `{"step":"ports"}\n{"done":"ports"}\n${tail}`);
      const { begun, done, complete, attachments } = (await journal.read(id)) ?? {};
      assert.deepEqual({ begun, done }, expected);
      assert.deepEqual([complete, attachments], [false, intent.attachments]);
      await journal.detaching(id);
      assert.equal((await journal.read(id))?.detaching, true, 'what comes after it counts');
    });
  }

  it('reports nothing if the file has no beginning', async () => {
    for (const text of ['', '\n', '{"intent":"att', '{"step":"ports"}\n{"intent":"complete"}\n']) {
      const { directory, file, journal } = setup();
      mkdirSync(directory);
      writeFileSync(file, text);
      assert.equal(await journal.read(id), undefined, JSON.stringify(text));
    }
  });
});

describe('names of containers on disk', () => {
  it('belong to one, who can take them again, until they are released', async () => {
    const directory = join(tempDir(), 'names');
    const names = new NameRegistry(directory);
    assert.equal(await names.owner('web'), undefined);
    await names.acquire('web', 'id1');
    await names.acquire('web', 'id1');
    await assert.rejects(names.acquire('web', 'id2'), (error: Error) => {
      assert(error instanceof ConflictError);
      assert.match(error.message, /^the name web is already used by the container id1; /);
      return true;
    });
    await names.release('web', 'id2');
    assert.equal(await names.owner('web'), 'id1');
    assert.deepEqual(readdirSync(directory), ['web']);
    assert.equal(readFileSync(join(directory, 'web'), 'utf8'), 'id1');
    await names.release('web', 'id1');
    await names.release('web', 'id1');
    await names.acquire('web', 'id2');
    assert.equal(await names.owner('web'), 'id2');
  });

  it('are given to one of many concurrent requests', async () => {
    const names = new NameRegistry(tempDir());
    const ids = Array.from({ length: 20 }, (_, index) => `id${index}`);
    const outcomes = await Promise.allSettled(ids.map((id) => names.acquire('web', id)));
    const winners = ids.filter((_, index) => outcomes[index]?.status === 'fulfilled');
    assert.deepEqual(winners, [await names.owner('web')]);
  });

  it('have no owner if the file is empty, and may end with a line end', async () => {
    const directory = tempDir();
    const names = new NameRegistry(directory);
    writeFileSync(join(directory, 'empty'), '');
    writeFileSync(join(directory, 'theirs'), 'id1\n');
    await names.acquire('empty', 'id2');
    assert.deepEqual([await names.owner('empty'), await names.owner('theirs')], ['id2', 'id1']);
  });
});

describe('records of containers', () => {
  const record = (id: string, name: string, created = '2024-01-01T00:00:00.000Z'): ContainerRecord => ({
    id,
    name,
    hostname: name,
    created,
    request: parseContainerRequest({ rootfs: '/rootfs', command: ['true'] }),
  });

  it('are found by name, id, and the beginning of that which only one has', async () => {
    const store = new ContainerStore(tempDir(), assert.fail);
    await store.write(record('abc1', 'web'));
    await store.write(record('abd2', 'db'));
    // A name that is the beginning of the other's id counts as a name.
    await store.write(record('ffff', 'abd'));
    const idOf = (text: string) => store.find(text).id;
    assert.deepEqual([idOf('web'), idOf('abc1'), idOf('abc'), idOf('abd')], ['abc1', 'abc1', 'abc1', 'ffff']);
    assert.throws(() => store.find('ab'), ConflictError);
    for (const text of ['', 'x', 'abc12']) assert.throws(() => store.find(text), NoSuchContainerError);
  });

  it('are not considered gone where their directory cannot be read', async () => {
    const directory = join(tempDir(), 'containers');
    symlinkSync('containers', directory);
    const store = new ContainerStore(directory, assert.fail);
    await assert.rejects(
      store.read('run1', () => false),
      FileError,
    );
    await assert.rejects(
      new NameRegistry(directory).stale(() => false),
      FileError,
    );
  });

  it('are listed in the order of their creation, with their last run', async () => {
    const directory = tempDir();
    const store = new ContainerStore(directory, assert.fail);
    await store.write(record('b', 'second', '2024-01-02T00:00:00.000Z'));
    await store.write(record('a', 'third', '2024-01-03T00:00:00.000Z'));
    await store.write(record('c', 'first', '2024-01-01T00:00:00.000Z'));
    await store.writeRun('a', { status: 'exited', stack: 'run1', exitCode: 3 });
    const order = store.all().map(({ name }) => name);
    assert.deepEqual(order, ['first', 'second', 'third']);
    assert.equal(store.run('b'), undefined);
    assert.equal(store.run('a')?.exitCode, 3);
  });

  it('are listed until all of their files are removed', async () => {
    const directory = tempDir();
    const store = new ContainerStore(directory, assert.fail);
    await store.write(record('a', 'first', '2024-01-01T00:00:00.000Z'));
    await store.write(record('b', 'second', '2024-01-02T00:00:00.000Z'));
    const removal = store.removeFiles('b');
    while (existsSync(join(directory, 'b'))) {
      assert.equal(store.find('second').id, 'b');
      await setImmediate();
    }
    await removal;
    store.forget('b');
    assert.deepEqual(readdirSync(directory), ['a']);
    assert.equal(store.get('b'), undefined);
  });
});
