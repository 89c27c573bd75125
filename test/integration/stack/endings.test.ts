// Every process killed, and every signal sent, at each step of start and end: however it comes, the end comes soon, and
// nothing is left.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerClient } from '../../../parent/client/container-client.js';
import { binPath, run, tempDir, waitFor } from '../../support/index.js';
import { describeProcess, isAlive, listProcesses, type ProcessInfo, processTree } from '../../support/process-info.js';
import { busyboxRootfs } from '../../support/stacks/containers.js';

/** How long the end may take, in ms: two seconds, and as much again and more for a machine that has other things to do. */
const LIMIT = 5000;
/** Cases at once. */
const PARALLEL = 4;
/** Lines on standard error: the reason, and what was noticed on the way. */
const MAX_LINES = 3;

type Signal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGKILL' | 'SIGSTOP';
type Victim = 'parent' | 'group' | 'launcher' | 'agent' | 'slirp4netns' | 'monitor' | 'container';

/** Something that happens to a process; where there is no such process yet, or no longer one, the parent is to end. */
interface Blow {
  signal: Signal;
  to: Victim;
}

/** What is run, and how it is seen to have come to a step. */
interface Subject {
  name: string;
  program: 'rootless-run' | 'rootlesskit';
  words: string[];
  /** Exit codes that are documented for an end by these blows. */
  codes(blows: readonly Blow[]): readonly number[];
  steps: Record<string, (running: Running) => boolean | Promise<boolean>>;
}

class Running {
  readonly home = tempDir();
  readonly runtime = join(this.home, 'run');
  readonly stateDir = join(this.runtime, 'rootless-net');
  readonly mark = `ROOTLESS_NET_TEST_MARK=${randomUUID()}`;
  readonly child;
  readonly ended: Promise<void>;
  stderr = '';
  container = 0;

  constructor({ program, words }: Subject) {
    mkdirSync(this.runtime, { mode: 0o700 });
    const [name = '', value = ''] = this.mark.split('=');
    const args = words.map((word) => word.replace('STATE', this.stateDir));
    this.child = spawn(binPath(program), args, {
      // A process group of its own.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        HOME: this.home,
        XDG_RUNTIME_DIR: this.runtime,
        XDG_DATA_HOME: join(this.home, 'data'),
        XDG_CONFIG_HOME: join(this.home, 'config'),
        XDG_STATE_HOME: join(this.home, 'state'),
        [name]: value,
      },
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) => this.child.once('exit', () => resolve()));
  }

  get pid(): number {
    return this.child.pid ?? assert.fail('it was not started');
  }

  get over(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  has(name: string): boolean {
    return existsSync(join(this.stateDir, name));
  }

  tree(): ProcessInfo[] {
    return processTree(this.pid);
  }

  find(victim: Exclude<Victim, 'parent' | 'group'>): number {
    if (victim === 'container') return this.container;
    const is = {
      launcher: ({ comm, args }: ProcessInfo) => comm === 'launcher' && !args.includes('die-with'),
      agent: ({ args }: ProcessInfo) => args.some((word) => word.endsWith('child/agent.js')),
      slirp4netns: ({ comm }: ProcessInfo) => comm === 'slirp4netns',
      monitor: ({ comm }: ProcessInfo) => comm === 'container-mon',
    }[victim];
    return this.tree().find(is)?.pid ?? 0;
  }

  /** A container that does `atEnd` when it gets SIGTERM, such as to write a file. */
  async startContainer(atEnd = 'echo bye >/out/bye; exit 0'): Promise<boolean> {
    const containers = new ContainerClient(join(this.stateDir, 'api.sock'));
    const command = ['sh', '-c', `trap "${atEnd}" TERM; while :; do sleep 1000 & wait $!; done`];
    const { id } = await containers.create({ rootfs: busyboxRootfs(), command, mounts: [`${this.home}:/out`] });
    const { pid } = await containers.start(id);
    this.container = pid ?? 0;
    await waitFor(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('trap'));
    return true;
  }

  strike({ signal, to }: Blow): void {
    const pid = to === 'parent' ? this.pid : to === 'group' ? -this.pid : this.find(to);
    try {
      if (pid !== 0) process.kill(pid, signal);
      else process.kill(this.pid, 'SIGTERM');
    } catch {
      // It has ended.
    }
  }
}

const here = async (running: Running, condition: () => boolean | Promise<boolean>) => {
  const deadline = performance.now() + 20_000;
  // Closer than waitFor() looks: steps follow each other within milliseconds.
  while (!running.over && !(await condition())) {
    assert(performance.now() < deadline, `the step was not reached: ${running.stderr}`);
    await delay(1);
  }
};

const start: Subject['steps'] = {
  'the lock': (running) => running.has('lock'),
  // It is there before our JavaScript runs, and ends then as any program that has no handlers yet.
  'the launcher': (running) => running.has('lock') && running.find('launcher') !== 0,
  'the network': (running) => running.find('slirp4netns') !== 0,
  'the name files': (running) => running.has('hosts'),
  child_pid: (running) => running.has('child_pid'),
  'api.sock': (running) => running.has('api.sock'),
};

const answers = (running: Running) =>
  new ContainerClient(join(running.stateDir, 'api.sock')).list().then(
    () => true,
    () => false,
  );

const serve: Subject = {
  name: 'rootless-run serve',
  program: 'rootless-run',
  words: ['serve', '--net=slirp4netns'],
  codes: ([first]) => (first && first.signal !== 'SIGKILL' ? [0] : [0, 1]),
  steps: {
    ...start,
    'the agent': (running) => running.find('agent') !== 0,
    'agent.sock': (running) => running.has('agent.sock'),
    'a container': async (running) => (await answers(running)) && running.startContainer(),
    'a container that does not obey': async (running) => (await answers(running)) && running.startContainer(''),
  },
};

const command: Subject = {
  name: 'rootless-run -- COMMAND',
  program: 'rootless-run',
  words: ['--net=slirp4netns', '--state-dir=STATE', '-p', '127.0.0.1:0:80', '--', 'sleep', '1000'],
  codes: (blows) => [
    125,
    ...['SIGKILL' as const, ...blows.map(({ signal }) => signal)].map((name) => 128 + constants.signals[name]),
  ],
  steps: {
    ...start,
    'the agent': (running) => running.find('agent') !== 0,
    'the command': (running) => running.tree().some(({ comm }) => comm === 'sleep'),
  },
};

const kit: Subject = {
  ...command,
  name: 'rootlesskit',
  program: 'rootlesskit',
  codes: () => [255, 1],
  words: ['--net=slirp4netns', '--disable-host-loopback', '--state-dir=STATE', '--pidns', 'sleep', '1000'],
  steps: { ...start, 'the command': (running) => running.tree().some(({ comm }) => comm === 'sleep') },
};

const to = (...victims: Victim[]) => ({
  by: (signal: Signal): Blow[][] => victims.map((victim) => [{ signal, to: victim }]),
});
const term: Blow = { signal: 'SIGTERM', to: 'parent' };
/** What does not end it by itself is followed by what does. */
const thenTerm = (blows: Blow[][]) => blows.map((first) => [...first, term]);

interface Case {
  subject: Subject;
  step: string;
  blows: Blow[];
}

const cases: Case[] = [];
const add = (subject: Subject, steps: readonly string[], all: readonly Blow[][]) => {
  for (const step of steps) for (const blows of all) cases.push({ subject, step, blows });
};
const ending = [...to('parent', 'group').by('SIGTERM'), ...to('group').by('SIGINT'), ...to('parent').by('SIGQUIT')];
const killing = to('parent', 'launcher').by('SIGKILL');

add(serve, Object.keys(serve.steps), [...ending, ...killing]);
add(serve, ['agent.sock', 'a container'], thenTerm(to('launcher', 'agent', 'slirp4netns').by('SIGSTOP')));
add(
  serve,
  ['api.sock', 'a container'],
  [...to('launcher').by('SIGTERM'), ...thenTerm(to('parent', 'group').by('SIGHUP'))],
);
add(serve, ['the network', 'api.sock'], thenTerm(to('slirp4netns').by('SIGKILL')));
add(serve, ['the agent', 'agent.sock'], thenTerm(to('agent').by('SIGKILL')));
add(serve, ['a container'], thenTerm(to('agent', 'slirp4netns', 'monitor', 'container').by('SIGKILL')));
// While it ends.
add(
  serve,
  ['a container', 'agent.sock'],
  [...to('parent', 'launcher', 'agent', 'slirp4netns', 'monitor').by('SIGKILL'), ...to('group').by('SIGTERM')].map(
    (blows) => [term, ...blows],
  ),
);
add(command, Object.keys(command.steps), [
  ...to('parent', 'group').by('SIGTERM'),
  ...to('parent').by('SIGHUP'),
  ...killing,
]);
add(command, ['the command'], thenTerm(to('agent', 'slirp4netns').by('SIGKILL')));
add(command, ['the command'], [...to('parent', 'group').by('SIGINT'), ...to('group').by('SIGQUIT')]);
add(kit, ['the network', 'api.sock', 'the command'], [...to('parent', 'group').by('SIGTERM'), ...killing]);

interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** From the last blow to the end. */
  ms: number;
  stderr: string;
  left: string[];
  stateDirLeft: boolean;
  /** Whether no process holds the lock of a state directory that is left. */
  lockFree: boolean;
  /** Whether a container that ran has ended in order. */
  bye: boolean;
}

async function outcomeOf({ subject, step, blows }: Case): Promise<Outcome> {
  const running = new Running(subject);
  const seen = new Map<number, ProcessInfo>();
  const look = () => {
    for (const info of running.tree()) seen.set(info.pid, info);
  };
  try {
    const condition = subject.steps[step] ?? assert.fail(step);
    await here(running, () => condition(running));
    look();
    for (const [index, blow] of blows.entries()) {
      if (index > 0) await delay(5);
      running.strike(blow);
    }
    const began = performance.now();
    await Promise.race([running.ended, delay(2 * LIMIT, undefined, { ref: false })]);
    const ms = performance.now() - began;
    const left = () => leftOf(running, seen);
    await waitFor(() => left().length === 0, { timeout: 3000 }).catch(() => {});
    const stateDirLeft = existsSync(running.stateDir);
    const lock = join(running.stateDir, 'lock');
    return {
      code: running.child.exitCode,
      signal: running.child.signalCode,
      ms,
      stderr: running.stderr,
      left: left().map(describeProcess),
      stateDirLeft,
      lockFree: !existsSync(lock) || (await run('flock', ['--nonblock', lock, 'true'])).code === 0,
      bye: existsSync(join(running.home, 'bye')),
    };
  } finally {
    for (const { pid } of [...running.tree(), ...leftOf(running, seen)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }
}

/** Those that were seen below it, and those that have its environment. */
function leftOf({ mark }: Running, seen: ReadonlyMap<number, ProcessInfo>): ProcessInfo[] {
  return listProcesses().filter((info) => {
    if (!isAlive(info.pid)) return false;
    return seen.get(info.pid)?.args.join(' ') === info.args.join(' ') || environmentOf(info.pid).includes(mark);
  });
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function check({ subject, step, blows }: Case, outcome: Outcome): void {
  const shown = JSON.stringify(outcome, undefined, 2);
  const killed = blows.some((blow) => blow.to === 'parent' && blow.signal === 'SIGKILL');
  assert(outcome.ms < LIMIT, `it took ${outcome.ms} ms: ${shown}`);
  assert.deepEqual(outcome.left, [], shown);
  assert(outcome.lockFree, shown);
  assert.doesNotMatch(outcome.stderr, /TypeError|internal error|^ {4}at |node:internal/m);
  assert(outcome.stderr.split('\n').length <= MAX_LINES + 1, shown);
  if (killed) return;
  assert.equal(outcome.stateDirLeft, false, shown);
  const codes = subject.codes(blows);
  assert(outcome.code !== null && codes.includes(outcome.code), `not one of ${codes.join(' ')}: ${shown}`);
  if (outcome.code === 0) assert.doesNotMatch(outcome.stderr, /error: /);
  const inOrder = blows.every(({ signal, to }) => !['SIGKILL', 'SIGSTOP'].includes(signal) || to === 'slirp4netns');
  if (step === 'a container' && inOrder) assert(outcome.bye, `the container did not end in order: ${shown}`);
}

const textOf = ({ step, blows }: Case) =>
  `at ${step}: ${blows.map((blow) => `${blow.signal} to the ${blow.to}`).join(', then ')}`;

describe('the end', function () {
  this.timeout(120_000);
  const outcomes = new Map<Case, Promise<Outcome | undefined>>();
  let over = false;

  before(() => {
    busyboxRootfs();
    const last: Promise<unknown>[] = Array.from({ length: PARALLEL }, async () => {});
    for (const [index, item] of cases.entries()) {
      const lane = index % PARALLEL;
      const outcome = (last[lane] ?? Promise.resolve()).then(() => (over ? undefined : outcomeOf(item)));
      outcome.catch(() => {});
      last[lane] = outcome.catch(() => {});
      outcomes.set(item, outcome);
    }
  });

  after(async () => {
    // With --grep most cases have no test that waits for them.
    over = true;
    await Promise.allSettled(outcomes.values());
  });

  for (const subject of [serve, command, kit]) {
    describe(`of ${subject.name} comes soon, and leaves nothing`, () => {
      for (const item of cases.filter((other) => other.subject === subject)) {
        it(textOf(item), async () => check(item, (await outcomes.get(item)) ?? assert.fail('it was not run')));
      }
    });
  }

  it('comes within two seconds for most', async () => {
    const all = await Promise.all(outcomes.values());
    const times = all.flatMap((outcome) => outcome?.ms ?? []).sort((a, b) => a - b);
    assert(
      (times[Math.floor(times.length * 0.9)] ?? 0) < 2000,
      `90 % of the ends took ${times[Math.floor(times.length * 0.9)]} ms`,
    );
  });
});
