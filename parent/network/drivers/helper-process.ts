import { LAUNCHER } from '../../native/index.js';
import { NetworkError } from '../errors.js';
import { type ProgramEnd, startProgram } from '../programs.js';

/** Descriptor on which a helper says that it is ready. */
export const READY_FD = 3;

/** A program that makes a network, and keeps it up while it runs. It dies with us, however we end. */
export interface HelperProcess {
  /** Resolves with true when the program writes to READY_FD, with false when it ends. */
  readonly ready: Promise<boolean>;
  readonly ended: boolean;
  onEnd(listener: (reason: string) => void): void;
  /** Waits for the end, which has to come, and tells it. */
  failure(): Promise<NetworkError>;
  close(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export function startHelperProcess(name: string, program: string, args: readonly string[]): HelperProcess {
  // Signals that we get are not about it, and it dies with us however we end.
  const { child, ended: end } = startProgram(LAUNCHER, ['die-with', String(process.pid), program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let ended = false;
  let closing = false;
  end.then(() => {
    ended = true;
  });
  const pipe = child.stdio[READY_FD];
  pipe?.on('error', () => {});
  const ready = new Promise<boolean>((resolve) => {
    pipe?.once('data', () => resolve(true));
    end.then(() => resolve(false));
  });
  return {
    ready,
    get ended() {
      return ended;
    },
    onEnd(listener) {
      end.then((result) => {
        if (!closing) listener(`${name} ended: ${lastWords(result)}`);
      });
    },
    async failure() {
      const said = lastWords(await end);
      return new NetworkError(`${name} failed: ${said}; its command was: ${program} ${args.join(' ')}`);
    },
    async close(signal) {
      closing = true;
      child.kill(signal);
      await end;
    },
  };
}

/** How a program ended, and its last line, which need not be about that. */
function lastWords({ output, problem, signal }: ProgramEnd): string {
  const line = output.trim().split('\n').at(-1);
  if (signal !== undefined) return `${signal}${line ? `, after "${line}"` : ''}`;
  return line || `${problem}, without a word`;
}
