import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createNamespace, type ExpectedError, type Namespace } from '../../../parent/index.js';
import { busyboxRootfs, IDLE, WEB } from '../../support/stacks/containers.js';

describe('containers of a namespace of the library', () => {
  let ns: Namespace;
  before(async () => {
    ns = await createNamespace({ containers: true, log: {} });
  });
  after(() => ns.close());

  it('run with their streams, on networks, with published ports', async () => {
    await using network = await ns.networks.create({ name: 'library', internal: true });
    await using web = await ns.containers.run({
      name: 'web',
      rootfs: busyboxRootfs(),
      command: WEB,
      network: { mode: 'networks', networks: [{ network: 'library' }] },
    });
    assert.deepEqual(Object.keys((await network.inspect()).containers), [web.id]);
    const asked = web.exec('wget', ['-qO-', 'http://web:80/']);
    assert.match((await asked).stdout, /./);
    const failed = await web.exec('sh', ['-c', 'cat; echo "$V" >&2; exit 3'], {
      env: { V: 'set' },
      input: 'in',
      reject: false,
    });
    assert.deepEqual([failed.exitCode, failed.stdout, failed.stderr], [3, 'in', 'set']);
    await using both = await ns.containers.run({ rootfs: busyboxRootfs(), command: ['cat'] }, { input: 'through\n' });
    assert.equal((await both.program)?.stdout, 'through');
    assert.equal(await both.wait(), 0);
    assert.equal((await ns.containers.list()).length, 2);
    await web.stop({ timeout: 0 });
    assert.equal((await web.inspect()).status, 'exited');
    assert.equal((await ns.containers.get('web')).id, web.id);
  });

  it('have programs that end by signals, with a terminal or without, and whatever they ignore', async () => {
    await using idle = await ns.containers.run({ rootfs: busyboxRootfs(), command: IDLE });
    for (const tty of [false, true]) {
      const script = 'trap "" TERM; echo on; while :; do sleep 0.1; done';
      const stubborn = idle.exec('sh', ['-c', script], { tty, reject: false, forceKillAfterDelay: 50 });
      for await (const line of stubborn) if (line === 'on') break;
      await stubborn[Symbol.asyncDispose]();
      assert.equal((await stubborn).exitCode, 128 + 9);
    }
    const { stdout } = await idle.exec('ps');
    assert.doesNotMatch(stdout, /echo on/);
  });

  it('are removed where they cannot be started, and end with the namespace', async () => {
    const wrong = ns.containers.run({ name: 'wrong', rootfs: busyboxRootfs(), command: ['no-such-program'] });
    await assert.rejects(wrong, (error: ExpectedError) => error.code === 'command-not-found');
    assert.deepEqual(await ns.containers.list(), []);
    const idle = await ns.containers.run({ name: 'idle', rootfs: busyboxRootfs(), command: IDLE });
    const { directory } = await idle.inspect();
    assert.ok(existsSync(directory));
    await ns.close();
    assert.ok(!existsSync(directory), `${directory} is left`);
  });
});
