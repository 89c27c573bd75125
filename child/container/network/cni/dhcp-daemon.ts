/**
 * The daemon of the CNI plugin dhcp, which gets leases for containers and renews them: one for all, started when a plugin
 * first needs it.
 *
 * Theory of operation. none → starting → ready (it accepts connections) → none again when it has ended, whoever ended it;
 * whoever needs it next starts another one. It ends with the agent. Leases are in its memory only, so where it was lost
 * `onLost` is called, for those who know whose leases a new one has to take up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { CNIError, ERROR_CODES } from './cni/errors.js';
import { findPlugin } from './cni/invoke.js';
import { PROGRAM_PATH } from './run-program.js';

const PLUGIN = 'dhcp';
/** How long it may take to accept connections, in ms. */
const START_TIMEOUT = 10_000;
/**
 * It gives up on a network without a server after half a minute, so before the plugin is ended that waits for it: a lease
 * that came later would be nobody's.
 */
const PATIENCE = ['-timeout', '5s', '-resendmax', '4s'];
/** What it says of every lease; the plugin bridge lets it begin before the interface is up. */
const ROUTINE =
  /: (acquiring|releasing|renewing|checking) lease|: lease (acquired|renewed|rebound)|^Link ".*" down\. |^network is down$|^retrying in /i;

export class DHCPDaemon {
  /** While there is one, or one starts. */
  #daemon: Promise<ChildProcess> | undefined;
  #closing = false;
  onLost: () => void = () => {};

  constructor(
    private readonly socketPath: string,
    private readonly pluginDirs: readonly string[],
    private readonly log: (level: 'warn' | 'debug', line: string) => void,
  ) {}

  /** The socket on which it is asked; starts it unless it runs. Throws CNIError. */
  async socket(): Promise<string> {
    this.#daemon ??= this.#start().catch((error: unknown) => {
      this.#daemon = undefined;
      throw error;
    });
    await this.#daemon;
    return this.socketPath;
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#closing = true;
    const child = await this.#daemon?.catch(() => undefined);
    if (!child || hasEnded(child)) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async #start(): Promise<ChildProcess> {
    const path = await findPlugin(PLUGIN, this.pluginDirs);
    await rm(this.socketPath, { force: true });
    const daemon = [path, 'daemon', '-socketpath', this.socketPath, ...PATIENCE];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...daemon], {
      cwd: '/',
      env: { PATH: PROGRAM_PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
      // No Ctrl-C is to end it before the containers.
      detached: true,
    });
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    // Then its last words are here, too.
    let isOver = false;
    child.once('close', () => {
      isOver = true;
    });
    let lastLine = '';
    createInterface(child.stderr).on('line', (line) => {
      // We have the time already.
      lastLine = line.replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /, '');
      this.log(ROUTINE.test(lastLine) ? 'debug' : 'warn', `DHCP: ${lastLine}`);
    });
    for (const deadline = performance.now() + START_TIMEOUT; !(await accepts(this.socketPath)); await delay(5)) {
      if (failure === undefined && !isOver && performance.now() < deadline) continue;
      child.kill('SIGKILL');
      const why = failure?.message ?? (lastLine || 'it does not accept connections');
      throw new CNIError(ERROR_CODES.internal, `its daemon cannot be started: ${why}`, { plugin: PLUGIN });
    }
    child.once('exit', (code, signal) => this.#onExit(signal ?? `exit code ${code}`));
    return child;
  }

  #onExit(how: string): void {
    this.#daemon = undefined;
    if (this.#closing) return;
    this.log('warn', `the DHCP daemon of the containers was lost (${how})`);
    this.onLost();
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
