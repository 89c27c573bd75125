import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerReport } from '../../../../protocol/containers/types.js';
import {
  accepts,
  binPath,
  freePort,
  isAlive,
  type RunResult,
  run,
  tcpRequest,
  tempDir,
  waitFor,
} from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  kill,
  onlyLeft,
  startContainer,
  type Traces,
  traces,
  WEB,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

interface Hook {
  path: string;
  args: string[];
}

interface Bundle {
  annotations?: Record<string, string>;
  hooks?: Record<string, Hook[]>;
  command?: readonly string[];
}

const CAPABILITIES = ['CAP_NET_BIND_SERVICE'];
/** Where the host has cgroups of both versions, crun works with a cgroup2 of its own only. */
const CRUN = ['unshare', '--cgroup', '--mount', 'sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"'];

/** An OCI runtime that a user drives himself, in the namespaces of a stack. */
class Runtime {
  readonly #directory = tempDir();
  readonly #made = new Set<string>();
  readonly #command: readonly string[];

  constructor(
    readonly name: string,
    readonly stack: ContainerStack,
  ) {
    this.#command = [...(name === 'crun' ? CRUN : []), name, '--root', join(this.#directory, 'root')];
  }

  /** What the container and the runtime write goes to a file, since the container keeps it open. */
  async do(...words: string[]): Promise<RunResult> {
    const file = join(this.#directory, 'output');
    const script = `exec "$@" </dev/null >${file} 2>&1`;
    const result = await this.stack.enter(['sh', '-c', script, 'sh', ...this.#command, ...words]);
    return { ...result, stderr: readFileSync(file, 'utf8') };
  }

  async create(id: string, bundle: Bundle): Promise<RunResult> {
    const { annotations = {}, hooks = await this.hooks(), command = WEB } = bundle;
    const directory = join(this.#directory, id);
    mkdirSync(directory, { recursive: true });
    const config = {
      ociVersion: '1.0.2',
      root: { path: busyboxRootfs() },
      hostname: id,
      process: {
        user: { uid: 0, gid: 0 },
        args: command,
        env: ['PATH=/bin', `HOSTNAME=${id}`],
        cwd: '/',
        capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      ],
      annotations,
      hooks,
      linux: { namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })) },
    };
    writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
    this.#made.add(id);
    return this.do('create', '--bundle', directory, id);
  }

  /** As the manual describes. */
  async hooks(): Promise<Record<string, Hook[]>> {
    const text = await this.stack.must('oci-hook', 'config');
    return (JSON.parse(text) as { hooks: Record<string, Hook[]> }).hooks;
  }

  async run(id: string, bundle: Bundle): Promise<void> {
    this.#succeeded(await this.create(id, bundle));
    this.#succeeded(await this.do('start', id));
  }

  async delete(id: string): Promise<void> {
    this.#made.delete(id);
    this.#succeeded(await this.do('delete', '--force', id));
  }

  /** What a test that failed has left: they are none of the stack's, and outlive it. */
  async deleteAll(): Promise<void> {
    for (const id of this.#made) await this.do('delete', '--force', id);
    this.#made.clear();
  }

  async pid(id: string): Promise<number> {
    const { stderr } = await this.do('state', id);
    return Number((JSON.parse(stderr) as { pid: number }).pid);
  }

  #succeeded({ code, stderr }: RunResult): void {
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, this.name);
  }
}

for (const name of ['runc', 'crun']) {
  describe(`OCI hooks, of ${name}`, () => {
    const stack = withContainerStack({ keep: true });
    let runtime: Runtime;
    let peer: ContainerReport;
    let port: number;
    let published: Record<string, string>;
    /** Before any container of the user's. */
    let clean: Traces;
    before(async () => {
      runtime = new Runtime(name, stack);
      peer = await startContainer(stack, { name: 'peer' });
      port = await freePort('127.0.0.2');
      published = { 'rootless-net/ports': JSON.stringify([`127.0.0.2:${port}:80`]) };
      clean = await traces(stack);
    });
    afterEach(async () => {
      await runtime.deleteAll();
      await onlyLeft(stack, clean, 'after the test');
      assert.deepEqual(await stack.containers.gc(), []);
      assert.deepEqual(peerLines(), []);
      assert.equal(await accepts('127.0.0.2', port), false);
    });

    /** What the peer's hosts file has about other containers. */
    const peerLines = () =>
      readFileSync(join(peer.directory, 'hosts'), 'utf8')
        .split('\n')
        .filter((line) => /^10\./.test(line) && !/\bpeer\b/.test(line));
    const answers = () =>
      waitFor(async () => /200 OK/.test(String(await tcpRequest('127.0.0.2', port, 'GET / HTTP/1.0\r\n\r\n'))), {
        what: 'the web server',
      });

    it('attach a container, and take all away when it is deleted', async () => {
      await runtime.run('c1', { annotations: published });
      await answers();
      const pid = await runtime.pid('c1');
      const { stdout } = await stack.enter(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', '-o', '-4', 'addr']);
      const [, address = ''] = /eth0\s+inet (10\.4\.0\.\d+)\/24/.exec(stdout) ?? [];
      assert.deepEqual(peerLines(), [`${address}\tc1`]);
      assert.deepEqual(await stack.containers.gc(), []);
      // Once more changes nothing.
      const running = await traces(stack);
      const { createRuntime: [hook] = [] } = await runtime.hooks();
      const state = { ociVersion: '1.0.2', id: 'c1', status: 'creating', pid, bundle: '/', annotations: published };
      const again = await stack.enter([hook?.path ?? '', ...(hook?.args.slice(1) ?? [])], {
        input: JSON.stringify(state),
      });
      assert.deepEqual([again.code, again.stderr], [0, '']);
      await onlyLeft(stack, running, 'after the second hook');
      assert.deepEqual(peerLines(), [`${address}\tc1`]);
      await answers();
      await runtime.delete('c1');
    });

    it('do what annotations ask for', async () => {
      await stack.containers.createNetwork({ name: 'other', subnets: ['10.7.0.0/24'] });
      const annotations = {
        ...published,
        'rootless-net/networks': '["other", "bridge"]',
        'rootless-net/name': 'db',
        'rootless-net/hostname': 'host',
        'rootless-net/domainname': 'example.org',
        'rootless-net/ip': '10.7.0.77',
        'rootless-net/mac': '02:00:00:00:00:77',
      };
      await runtime.run('c2', { annotations });
      await answers();
      const pid = await runtime.pid('c2');
      const { stdout } = await stack.enter(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', '-o', 'addr']);
      assert.match(stdout, /eth0\s+inet 10\.7\.0\.77\/24/);
      assert.match(stdout, /eth1\s+inet 10\.4\.0\.\d+\/24/);
      const links = await stack.enter(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', '-o', 'link']);
      assert.match(links.stdout, /eth0@.*02:00:00:00:00:77/);
      assert.match(peerLines()[0] ?? '', /^10\.4\.0\.\d+\thost\.example\.org db host$/);
      await runtime.delete('c2');
      await stack.containers.removeNetwork('other');
    });

    it('run by the command, without any environment', async () => {
      const hook = (event: string) => [
        {
          path: binPath('rootless-net'),
          args: ['rootless-net', `--state-dir=${stack.stateDir}`, 'oci-hook', event],
        },
      ];
      const hooks = { createRuntime: hook('createRuntime'), poststop: hook('poststop') };
      await runtime.run('c3', { annotations: published, hooks });
      await answers();
      await runtime.delete('c3');
    });

    it('leave nothing if they fail, and report why in one line', async () => {
      for (const [annotations, why] of [
        [{ 'rootless-net/networks': '["nowhere"]' }, /no such network: nowhere/],
        [
          { 'rootless-net/networks': 'bridge' },
          /invalid annotation rootless-net\/networks: expected a JSON list of strings, not bridge/,
        ],
        [{ 'rootless-net/ports': '["80:80:80:80"]' }, /80:80:80:80/],
        [{ ...published, 'rootless-net/networks': '["bridge", "nowhere"]' }, /no such network: nowhere/],
        [{ ...published, 'rootless-net/ip': '10.4.0.2' }, /requested IP address 10\.4\.0\.2 is not available/],
        [{ ...published, 'rootless-net/ip': 'x' }, /ip: "x" is not an IPv4 address/],
        [{ ...published, 'rootless-net/mac': 'x' }, /mac: "x" is not a unicast MAC address/],
        [{ ...published, 'rootless-net/name': 'a b' }, /"a b" is not a name/],
        [{ ...published, 'rootless-net/hostname': 'a b' }, /rootless-net\/hostname: "a b" is not a host name/],
      ] as const) {
        const logged = stack.started.output().length;
        const { code, stderr } = await runtime.create('c4', { annotations });
        assert.notEqual(code, 0, why.source);
        // crun does not show the output of a hook; the log of the stack does, a little later.
        const printed = () => (name === 'runc' ? stderr : stack.started.output().slice(logged)).replaceAll('\\"', '"');
        await waitFor(() => printed().includes('hook createRuntime'), { what: why.source });
        assert.match(printed(), why);
        await onlyLeft(stack, clean, why.source);
      }
      await runtime.run('c4', { annotations: published });
      await answers();
      await runtime.delete('c4');
    });

    it('leave nothing behind another hook that fails', async () => {
      const { createRuntime = [], poststop = [] } = await runtime.hooks();
      const failing = { path: '/bin/false', args: ['false'] };
      const hooks = { createRuntime: [...createRuntime, failing], poststop };
      assert.notEqual((await runtime.create('c5', { annotations: published, hooks })).code, 0);
      // crun calls no poststop then: the next container makes room, or gc.
      await runtime.run('c6', { annotations: published });
      await answers();
      await runtime.delete('c6');
      await runtime.create('c5', { annotations: published, hooks });
      await stack.containers.gc({ repair: true });
    });

    it('continue when the agent is killed, and are found when the container is', async () => {
      await runtime.run('c7', { annotations: published });
      for (const agent of stack.agents()) kill(agent);
      await stack.settled();
      await answers();
      assert.equal(peerLines().length, 1);
      assert.deepEqual(await stack.containers.gc(), []);
      const pid = await runtime.pid('c7');
      kill(pid);
      await waitFor(() => !isAlive(pid), { what: 'its end' });
      assert.deepEqual((await stack.must('gc')).split('\n').slice(0, -1).sort(), [
        'attachment: network of c7, which does not run',
        'meta: meta.json of c7, which does not run',
        'port: published ports of c7, which does not run',
      ]);
      await stack.must('gc', '--repair');
      await onlyLeft(stack, { ...clean, processes: (await traces(stack)).processes }, 'after the repair');
      await runtime.delete('c7');
    });

    it('leave nothing of a failure or a crash at the steps that only they have', async () => {
      for (const how of ['fail', 'kill'] as const) {
        for (const moment of ['before attach ports', 'after attach ports', 'after attach names']) {
          stack.fault(how, moment);
          const { code } = await runtime.create('c8', { annotations: published });
          assert.notEqual(code, 0, moment);
          assert.equal(stack.faultPending(), false, moment);
          await stack.settled();
          await onlyLeft(stack, clean, `${how} ${moment}`);
        }
        for (const moment of ['before detach address', 'after detach address']) {
          await runtime.run('c8', { annotations: published });
          stack.fault(how, moment);
          await runtime.do('delete', '--force', 'c8');
          // The runtime does not wait for it.
          await waitFor(() => !stack.faultPending(), { what: moment });
          await stack.settled();
          await stack.containers.gc({ repair: true });
          await onlyLeft(stack, clean, `${how} ${moment}`);
        }
      }
    });
  });
}

describe('rootless-net oci-hook', () => {
  const stack = withContainerStack({ keep: true });
  let clean: Traces;
  before(async () => {
    await startContainer(stack, { name: 'peer' });
    clean = await traces(stack);
  });
  afterEach(async () => {
    await onlyLeft(stack, clean, 'after the test');
  });

  const hook = (event: string, state: unknown, env: Record<string, string> = {}) => {
    const input = typeof state === 'string' ? state : JSON.stringify(state);
    return run(binPath('rootless-net'), ['oci-hook', event], {
      env: { ROOTLESSKIT_STATE_DIR: stack.stateDir, ...env },
      input,
    });
  };
  /** As runc and crun pass it at poststop. */
  const stopped = [
    { ociVersion: '1.0.2-dev', id: 'x', status: 'stopped', bundle: '/nowhere' },
    { ociVersion: '1.0', id: 'x', pid: 0, root: 'rootfs', bundle: '/nowhere', status: 'stopped' },
  ];

  it('poststop changes nothing for an unknown container, any number of times', async () => {
    const own = (await stack.containers.inspect('peer')).id;
    for (const state of [...stopped, ...stopped, ...stopped.map((state) => ({ ...state, id: own }))]) {
      assert.deepEqual(await hook('poststop', state), { code: 0, signal: null, stdout: '', stderr: '' });
    }
    assert.equal((await stack.containers.inspect('peer')).status, 'running');
  });

  it('reports in one line what is wrong with a state', async () => {
    const own = (await stack.containers.inspect('peer')).id;
    for (const [state, why] of [
      ['', /^rootless-net hook createRuntime: invalid container state/],
      ['{"id":', /^rootless-net hook createRuntime: the request is not JSON/],
      [{ pid: 1 }, /invalid container state/],
      [{ id: '..', pid: 1 }, /invalid container state/],
      [{ id: '.x', pid: 1 }, /invalid container state/],
      [{ id: 'a/b', pid: 1 }, /invalid container state/],
      [{ id: 'x' }, /the state of x has no pid/],
      [{ id: 'x', pid: 0 }, /the state of x has no pid/],
      [{ id: 'x', pid: 4_194_305 }, /ENOENT|no such/i],
      [{ id: own, pid: process.pid }, /can only be started with: rootless-net start/],
    ] as const) {
      const { code, stdout, stderr } = await hook('createRuntime', state);
      assert.deepEqual([code, stdout, stderr.split('\n').length], [1, '', 2], stderr);
      assert.match(stderr, why);
    }
  });

  it('reports in one line that no agent answers, or that the event is unknown', async () => {
    const nowhere = tempDir();
    for (const event of ['createRuntime', 'poststop']) {
      const { code, stderr } = await hook(event, stopped[0], { ROOTLESSKIT_STATE_DIR: nowhere });
      assert.equal(code, 1);
      assert.equal(
        stderr,
        `rootless-net hook ${event}: no agent answers (No such file or directory) at ${nowhere}/agent.sock; hint: start the stack: rootless-run serve\n`,
      );
    }
    const { code, stderr } = await hook('poststart', stopped[0]);
    assert.notEqual(code, 0);
    assert.match(stderr, /^usage: .*createRuntime\|poststop.*\n$/);
  });
});
