import { LAUNCHER } from '../../../native/index.js';
import { NetworkError } from '../../errors.js';
import { type ProgramEnd, startProgram } from '../../programs/run-programs.js';

/** Descriptor on which a helper reports that it is ready. */
export const READY_FD = 3;

/** How long a program may take to end before it is killed, in ms. */
const END_TIMEOUT_MS = 300;

/** A program that makes a network, and keeps it up while it runs. It dies with this process. */
export interface HelperProcess {
  /** Resolves with true when the program writes to READY_FD, with false when it ends. */
  readonly ready: Promise<boolean>;
  readonly ended: boolean;
  onEnd(listener: (reason: string) => void): void;
  /** Resolves with an error about the program's end, when it has ended. */
  failure(): Promise<NetworkError>;
  close(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export function startHelperProcess(name: string, program: string, args: readonly string[]): HelperProcess {
  // In a session of its own, where no signal of a terminal reaches it; it dies with this process, however that ends.
  const { child, ended: end } = startProgram(LAUNCHER, ['die-with', String(process.pid), program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let ended = false;
  let closing = false;
  end.then(() => {
    ended = true;
  });
  // Where descriptors have run out (EMFILE) Node makes no pipes, though its types have them.
  const pipe = (child.stdio as typeof child.stdio | undefined)?.[READY_FD];
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
      const reason = lastWords(await end);
      return new NetworkError(`${name} failed: ${reason}; its command was: ${program} ${args.join(' ')}`);
    },
    async close(signal) {
      closing = true;
      child.kill(signal);
      // It may be stopped, or have other things to do.
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
      await end;
      clearTimeout(timer);
    },
  };
}

/** How a program ended, and its last line, which may be about something else. */
function lastWords({ output, problem, signal }: ProgramEnd): string {
  const line = output.trim().split('\n').at(-1);
  if (signal !== undefined) return `${signal}${line ? `, after "${line}"` : ''}`;
  return line || `${problem}, without output`;
}
