/**
 * The running stack that rootless-net talks to; where none runs it is started: as the user's systemd unit where that is
 * installed, else by itself, to go on until the user logs out or ends it.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { native } from '../native/index.js';
import { StackClient } from '../parent/api/client.js';
import { UsageError, UserError } from '../parent/errors.js';
import { SERVICE } from '../parent/systemd/units.js';
import { packageFile } from '../protocol/paths.js';

/** How long a stack may take until it answers, in ms. */
const START_TIMEOUT = 30_000;

/** Path of the stack's api.sock. Throws UserError. */
export async function findStack(stateDir: string | undefined): Promise<string> {
  const directory = stateDir ?? process.env.ROOTLESSKIT_STATE_DIR ?? defaultStateDir();
  const socket = join(directory, 'api.sock');
  if (existsSync(socket) && (await answers(socket))) return socket;
  // Somebody else's, or inside of one: nothing to be started here.
  if (stateDir !== undefined || process.env.ROOTLESSKIT_STATE_DIR !== undefined) {
    throw new UserError(`no stack runs at ${directory}; start it with: rootless-run serve --state-dir ${directory}`);
  }
  await start(socket);
  return socket;
}

async function start(socket: string): Promise<void> {
  const unit = join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'systemd', 'user', SERVICE);
  if (existsSync(unit)) {
    const result = await execa('systemctl', ['--user', 'start', SERVICE], { reject: false, stdin: 'ignore' });
    if (result.exitCode !== 0) {
      throw new UserError(
        `cannot start ${SERVICE}: ${result.stderr.split('\n')[0]}; journalctl --user -u ${SERVICE} tells more`,
      );
    }
    return;
  }
  const log = join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'rootless-net', 'serve.log');
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  const deadline = performance.now() + START_TIMEOUT;
  // Of several that find no stack one starts it, and the others wait.
  const lock = openSync(join(dirname(log), 'start.lock'), 'w', 0o600);
  try {
    while (!native().flock(lock, true)) {
      if (performance.now() > deadline) throw new UserError('cannot start the stack: somebody else is at it, in vain');
      await delay(20);
    }
    if (!(await answers(socket))) await startBeside(socket, log, deadline);
  } finally {
    closeSync(lock);
  }
}

/** A stack of its own, which goes on when we end. Throws UserError. */
async function startBeside(socket: string, log: string, deadline: number): Promise<void> {
  const file = openSync(log, 'w', 0o600);
  const child = spawn(process.execPath, [packageFile('dist/bin/rootless-run.cjs'), 'serve'], {
    detached: true,
    stdio: ['ignore', file, file],
    cwd: '/',
  });
  closeSync(file);
  child.unref();
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  while (!(await answers(socket))) {
    // Another one may have been faster.
    if ((ended && !(await answers(socket))) || performance.now() > deadline) {
      const said = readFileSync(log, 'utf8').trim().split('\n').at(-1) || 'it did not become ready';
      throw new UserError(`cannot start the stack: ${said.replace(/^rootless-run: (error: )?/, '')} (log: ${log})`);
    }
    await delay(20);
  }
}

function answers(socket: string): Promise<boolean> {
  return new StackClient(socket).info().then(
    () => true,
    () => false,
  );
}

/** Throws UsageError. */
export function defaultStateDir(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (!runtime) throw new UsageError('XDG_RUNTIME_DIR is not set; use --state-dir, or log in anew');
  return join(runtime, 'rootless-net');
}
