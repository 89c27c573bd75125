/**
 * Starts the stack of rootless-net if none is running: as the user's systemd unit if that is installed, otherwise as a
 * process of its own, which ends after its last container.
 */

import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { StackClient } from '../../parent/client/stack-client.js';
import { UserError } from '../../parent/errors.js';
import { lockHolder } from '../../parent/state/lock-holder.js';
import { configHome, stateHome } from '../../parent/state/user-directories.js';
import { RUNS_ALREADY, SERVICE } from '../../parent/systemd/units.js';
import { packageFile } from '../../protocol/paths.js';
import { statePath } from '../../protocol/state/state-layout.js';
import { openOwnFile } from '../../protocol/system/own-file.js';
import { getCaller } from '../common/caller.js';
import { installedInSystem } from '../systemd/unit-files.js';

/** Longest time in ms before a stack that was started must answer. */
const START_TIMEOUT = 30_000;
/** Longest time in ms for the answer of a running stack. */
const ANSWER_TIMEOUT = 5_000;
/** Interval for polling, in ms. */
const POLL_INTERVAL = 20;
/** Seconds without a running container after which a stack that was started here ends. */
const IDLE_TIME = 5;

/**
 * Resolves with the path of its api.sock, when the stack answers there. Throws UserError.
 *
 * @param keep whether a stack that is started keeps running without containers
 */
export async function startDefaultStack(socket: string, keep: boolean): Promise<string> {
  const unit = join(configHome(), 'systemd', 'user', SERVICE);
  if (existsSync(unit)) {
    const { execa } = await import('execa');
    const result = await execa('systemctl', ['--user', 'start', SERVICE], { reject: false, stdin: 'ignore' });
    if (result.exitCode !== 0) {
      throw new UserError(`cannot start ${SERVICE}: ${result.stderr.split('\n')[0]}`, {
        hint: `journalctl --user -u ${SERVICE}`,
      });
    }
    return socket;
  }
  const [system] = await installedInSystem();
  if (system !== undefined) {
    throw new UserError(`the stack is the system's unit ${system}, which is not running`, {
      hint: `sudo systemctl start ${system}`,
    });
  }
  const log = join(stateHome(), 'rootless-net', 'serve.log');
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  const deadline = performance.now() + START_TIMEOUT;
  // Of several commands that find no stack, one starts it, and the others wait.
  const lock = openOwnFile(join(dirname(log), 'start.lock'));
  try {
    while (!native().flock(lock, true)) {
      if (performance.now() > deadline) {
        throw new UserError(`timed out after ${START_TIMEOUT / 1000} s waiting for another process to start the stack`);
      }
      await delay(POLL_INTERVAL);
    }
    await startProcess(socket, { log, keep, deadline });
  } finally {
    closeSync(lock);
  }
  return socket;
}

/** Starts a stack that outlives this process, unless one is running by now. Throws UserError. */
async function startProcess(
  socket: string,
  { log, keep, deadline }: { log: string; keep: boolean; deadline: number },
): Promise<void> {
  const lock = statePath(dirname(socket), 'lock');
  let child: { exitCode: number | null | undefined } | undefined;
  while (!(await answers(socket))) {
    // Held by a stack that is ending, or one that was started by hand and is not ready yet.
    const holder = await lockHolder(lock);
    const held = holder !== undefined;
    if (held && performance.now() > deadline) throw notAnswering(holder, socket);
    const failed = child?.exitCode !== undefined && !held;
    if (failed && child?.exitCode === RUNS_ALREADY) child = undefined;
    else if ((failed && !(await answers(socket))) || performance.now() > deadline) {
      const last = readFileSync(log, 'utf8').trim().split('\n').at(-1) || 'it did not become ready';
      throw new UserError(`cannot start the stack: ${last.replace(/^rootless-run: (error: )?/, '')} (log: ${log})`);
    }
    if (!held) child ??= spawnServe(log, keep);
    await delay(POLL_INTERVAL);
  }
}

/** `exitCode` is undefined while it runs, and null if it was not started or was killed. */
function spawnServe(log: string, keep: boolean): { exitCode: number | null | undefined } {
  const file = openOwnFile(log, { truncate: true });
  const options = keep ? [] : [`--stop-when-idle=${IDLE_TIME}`];
  const child = spawn(packageFile('dist/bin/rootless-run'), ['serve', ...options], {
    detached: true,
    env: { ...getCaller().env, ROOTLESS_NET_NODE: process.execPath },
    stdio: ['ignore', file, file],
    cwd: '/',
  });
  closeSync(file);
  child.unref();
  const state: { exitCode: number | null | undefined } = { exitCode: undefined };
  child.once('exit', (code) => {
    state.exitCode = code;
  });
  child.once('error', () => {
    state.exitCode = null;
  });
  return state;
}

/** Whether a stack answers on the socket. */
export function answers(socket: string): Promise<boolean> {
  return new StackClient(socket).call('GET', '/v1/info', undefined, ANSWER_TIMEOUT).then(
    () => true,
    () => false,
  );
}

/** The error for a stack that does not answer. */
export function notAnswering(pid: number, socket: string): UserError {
  return new UserError(`the stack of pid ${pid} does not answer (socket ${socket})`, {
    hint: `rootless-run stop ${pid}`,
  });
}
