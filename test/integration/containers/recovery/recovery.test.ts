import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { STEPS, type Task } from '../../../../child/container/storage/fault-injection.js';
import { accepts, freePort, tcpRequest, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  IDLE,
  onlyLeft,
  startContainer,
  startContainerStack,
  type Traces,
  traces,
  WEB,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

/** Steps that only containers of others go through; see hooks.test.ts. */
const OF_OTHERS = ['attach ports', 'detach address'];

/** The moments before, or after, each step of these tasks. */
function momentsOf(when: 'before' | 'after', ...tasks: Task[]): string[] {
  const steps = tasks.flatMap((task) => STEPS[task].map((step) => `${task} ${step}`));
  return steps.filter((step) => !OF_OTHERS.includes(step)).map((step) => `${when} ${step}`);
}

/** Waits for all, also where one fails: nothing of a test may continue during the next. */
async function eachAtOnce(tasks: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(tasks)) if (result.status === 'rejected') throw result.reason;
}

/** An external network, which the plugins attach to. */
function addPluggedNetwork({ confDir }: ContainerStack): void {
  const ipam = { type: 'host-local', ranges: [[{ subnet: '10.99.1.0/24' }]] };
  const plugins = [{ type: 'bridge', bridge: 'plugged0', ipam }];
  mkdirSync(confDir, { recursive: true });
  writeFileSync(join(confDir, 'plugged.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'plugged', plugins }));
}

/** A container on two networks that was started and ended, and one beside it that runs. */
interface SubjectParts {
  runtime: string;
  stack: ContainerStack;
  port: number;
  /** What there is while it does not run. */
  stopped: Traces;
  addresses: string[];
  /** The hosts file of the other one. */
  hosts: string;
}

class Subject {
  private constructor(private readonly parts: SubjectParts) {}

  get runtime() {
    return this.parts.runtime;
  }

  get stack() {
    return this.parts.stack;
  }

  get stopped() {
    return this.parts.stopped;
  }

  /**
   * What is before a step for one runtime is after the one before it for the other: so each sees a failure between any
   * two, at half the time.
   */
  get when(): 'before' | 'after' {
    return this.runtime === 'runc' ? 'before' : 'after';
  }

  static async make(runtime: string): Promise<Subject> {
    const stack = await startContainerStack();
    addPluggedNetwork(stack);
    const port = await freePort('127.0.0.2');
    const { directory } = await startContainer(stack, { name: 'peer', runtime });
    const { attachments } = await startContainer(stack, {
      name: 'web',
      command: WEB,
      runtime,
      network: { mode: 'networks', networks: [{ network: 'bridge' }, { network: 'plugged' }] },
      publish: [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' }],
    });
    await stack.containers.stop('web');
    const addresses = attachments.flatMap(({ ips }) => ips);
    return new Subject({
      runtime,
      stack,
      port,
      stopped: await traces(stack),
      addresses,
      hosts: join(directory, 'hosts'),
    });
  }

  async isGone(what: string): Promise<void> {
    await waitFor(async () => (await this.stack.containers.inspect('web')).status !== 'running', { what });
    await onlyLeft(this.stack, this.stopped, what);
    await waitFor(() => this.lines('web').length === 0, { what: `the name to be gone: ${what}` });
    assert.equal(await accepts('127.0.0.2', this.parts.port), false, what);
  }

  /** Starts it unless it runs. */
  async comesUp(what: string): Promise<void> {
    const { attachments, name } = await this.stack.containers.start('web');
    assert.equal(name, 'web');
    assert.deepEqual(
      attachments.flatMap(({ ips }) => ips),
      this.parts.addresses,
      what,
    );
    assert.equal(this.lines('web').length, 1, what);
    await waitFor(
      async () => /200 OK/.test(String(await tcpRequest('127.0.0.2', this.parts.port, 'GET / HTTP/1.0\r\n\r\n'))),
      {
        what: `the web server ${what}`,
      },
    );
  }

  /** Lines with a name in the hosts file of the one that runs. */
  lines(name: string): string[] {
    return readFileSync(this.parts.hosts, 'utf8')
      .split('\n')
      .filter((line) => line.split(/\s/).slice(1).includes(name));
  }
}

describe('a failure at any moment', () => {
  let subjects: Subject[];
  before(async () => {
    subjects = await Promise.all(['runc', 'crun'].map(Subject.make));
  });
  after(async () => {
    for (const { stack } of subjects ?? []) await stack[Symbol.asyncDispose]();
  });

  for (const how of ['fail', 'kill'] as const) {
    it(`of a start or a stop leaves nothing, and the next start succeeds: ${how}`, async () => {
      await eachAtOnce(
        subjects.map(async (subject) => {
          const { stack, runtime, when } = subject;
          const starts = momentsOf(when, 'start', 'attach');
          const stops = momentsOf(when, 'end', 'detach');
          assert.ok(starts.length > stops.length);
          for (const [index, moment] of starts.entries()) {
            const start = `${how} ${moment} (${runtime})`;
            stack.fault(how, moment);
            await assert.rejects(stack.containers.start('web'), start);
            assert.equal(stack.faultPending(), false, `never came: ${start}`);
            await stack.settled();
            // One that is known to run was started.
            if (start.includes('kill after start running')) await stack.containers.stop('web');
            await subject.isGone(start);
            await subject.comesUp(start);
            const end = stops[index];
            if (end === undefined) {
              await stack.containers.stop('web');
              continue;
            }
            const stop = `${how} ${end} (${runtime})`;
            stack.fault(how, end);
            // A network that cannot be removed does not keep a container from ending; the rest is left to gc.
            if (how === 'fail' && /^(before|after) (detach|end detach)/.test(end)) await stack.containers.stop('web');
            else await assert.rejects(stack.containers.stop('web'), stop);
            assert.equal(stack.faultPending(), false, `never came: ${stop}`);
            await stack.settled();
            await stack.containers.gc({ repair: true });
            await subject.isGone(stop);
          }
        }),
      );
    });

    it(`of create, rename or rm leaves one name or none: ${how}`, async () => {
      await eachAtOnce(
        subjects.map(async (subject) => {
          const { stack, when } = subject;
          const { containers } = stack;
          const fails = async (moment: string, attempt: () => Promise<unknown>) => {
            stack.fault(how, moment);
            await assert.rejects(attempt(), moment);
            assert.equal(stack.faultPending(), false, `never came: ${moment}`);
            await stack.settled();
            // Where the agent continues, what it could not do is left to this.
            await containers.gc({ repair: true });
          };
          const request = { name: 'third', rootfs: busyboxRootfs(), command: IDLE };
          for (const moment of momentsOf(when, 'create')) {
            await fails(moment, () => containers.create(request));
            const left = await containers.inspect('third').catch(() => undefined);
            // Its record is the last that is written.
            assert.equal(left !== undefined, moment === 'after create record' && how === 'kill', moment);
            if (left) await containers.remove('third');
            await onlyLeft(stack, subject.stopped, moment);
          }
          for (const moment of momentsOf(when, 'rename')) {
            const { id } = await startContainer(stack, { ...request });
            await fails(moment, () => containers.rename('third', 'renamed'));
            const { name } = await containers.inspect(id);
            assert.ok(['third', 'renamed'].includes(name), moment);
            const names = stack.files().filter((file) => file.startsWith('names/'));
            assert.deepEqual(names, [`names/${name}`, 'names/peer', 'names/web'].sort(), moment);
            assert.equal(subject.lines(name).length, 1, moment);
            assert.equal(subject.lines(name === 'third' ? 'renamed' : 'third').length, 0, moment);
            await containers.remove(id, { force: true });
          }
          for (const moment of momentsOf(when, 'remove')) {
            await startContainer(stack, { ...request });
            await containers.stop('third');
            // With force it would not mind.
            await fails(moment, () => containers.remove('third'));
            await containers.remove('third', { force: true }).catch((error: unknown) => {
              assert.match(String(error), /no such container: third/, moment);
            });
            await onlyLeft(stack, subject.stopped, moment);
          }
        }),
      );
    });
  }
});

describe('the addresses of a container', () => {
  const stack = withContainerStack({ keep: true });
  before(async () => {
    addPluggedNetwork(stack);
    await stack.containers.createNetwork({ name: 'ours' });
  });

  it('go with it, also if it was put on one more network by an agent that died', async () => {
    const { containers } = stack;
    for (const moment of ['after attach address', 'after attach complete']) {
      await startContainer(stack, { name: 'more' });
      stack.fault('kill', moment);
      await assert.rejects(containers.connect('ours', 'more'));
      await stack.settled();
      await containers.start('more');
      assert.deepEqual(await containers.gc(), [], moment);
      await containers.remove('more', { force: true });
      assert.deepEqual(stack.files(), [], moment);
    }
  });

  for (const kept of ['ours', 'plugged']) {
    it(`stay the same, and are one on each network, when another network goes: ${kept}`, async () => {
      const { containers } = stack;
      const local = join(stack.env.XDG_DATA_HOME ?? '', 'cni', 'networks', 'plugged');
      mkdirSync(local, { recursive: true });
      const reservations = () =>
        stack
          .files()
          .concat(readdirSync(local))
          .filter((file) => /(^|\/)10\.[\d.]+$/.test(file)).length;
      const { id } = await startContainer(stack, { name: 'moving' });
      await containers.connect(kept, id);
      await containers.disconnect('bridge', id);
      const [attached] = (await containers.inspect(id)).attachments;
      assert.equal(attached?.interface, 'eth1');
      assert.equal(reservations(), 1);
      for (const _ of [1, 2]) {
        await containers.restart(id);
        const [again] = (await containers.inspect(id)).attachments;
        assert.deepEqual([again?.network, again?.interface, again?.ips], [kept, 'eth1', attached?.ips]);
        assert.equal(reservations(), 1);
      }
      await containers.connect('bridge', id);
      await containers.disconnect(kept, id);
      await containers.remove(id, { force: true });
      assert.equal(reservations(), 0);
      assert.deepEqual(stack.files(), []);
    });
  }
});
