import type { CommandResult } from '../parent/namespaces/launcher.js';
import type { NetworkName } from '../parent/network/index.js';
import { signalName, signalText } from './signal-text.js';

/**
 * The two names of one program: its own, and RootlessKit's, under which scripts that were written for RootlessKit find
 * the defaults, messages and exit codes that they know.
 */
export interface Dialect {
  readonly name: 'rootless-run' | 'rootlesskit';
  readonly defaults: {
    readonly net: NetworkName;
    readonly portDriver: 'builtin' | 'none';
    readonly copyUp: readonly string[];
    readonly hostLoopback: boolean;
  };
  /** Beginning of each line on standard error. */
  readonly linePrefix: string;
  /** Exit code for a command that cannot be executed, of those that its error has. */
  notExecuted(exitCode: number): number;
  /** What is said of a command that ended otherwise than with exit code 0. */
  describeEnd(command: readonly string[], result: CommandResult): string[];
}

export const rootlessRun: Dialect = {
  name: 'rootless-run',
  defaults: { net: 'auto', portDriver: 'builtin', copyUp: ['/etc'], hostLoopback: false },
  linePrefix: 'rootless-run: ',
  notExecuted: (exitCode) => exitCode,
  describeEnd: (command, result) =>
    'signal' in result ? [`rootless-run: error: ${command[0]} was ended by ${signalName(result.signal)}`] : [],
};

export const rootlesskit: Dialect = {
  name: 'rootlesskit',
  defaults: { net: 'host', portDriver: 'none', copyUp: [], hostLoopback: true },
  linePrefix: '[rootlesskit:parent] ',
  notExecuted: () => 1,
  // Its two processes each say how the one below them ended, and scripts look for that.
  describeEnd: (command, result) => {
    const how = 'signal' in result ? `signal: ${signalText(result.signal)}` : `exit status ${result.code}`;
    const code = 'signal' in result ? ENDED_BY_SIGNAL : result.code;
    return [
      `[rootlesskit:child ] error: command [${command.join(' ')}] exited: ${how}`,
      `[rootlesskit:parent] error: child exited: exit status ${code}`,
    ];
  },
};

/** Exit code for a command that was ended by a signal. */
export const ENDED_BY_SIGNAL = 255;
