import { DEFAULTS } from '../../parent/defaults.js';
import type { LineFormat } from '../../parent/log/log.js';
import type { CommandResult } from '../../parent/namespaces/launcher.js';
import type { NetworkName } from '../../parent/network/index.js';
import { signalName } from '../../protocol/system/signals.js';
import { EXIT, signalExitCode } from '../common/failure.js';
import { logrusLine } from '../rootlesskit-compat/logrus.js';
import { signalText } from './signal-text.js';

/**
 * The two names of one program: its own, and RootlessKit's. Under the latter, scripts that were written for RootlessKit find
 * its defaults, messages and exit codes.
 */
export interface Dialect {
  readonly name: 'rootless-run' | 'rootlesskit';
  readonly defaults: {
    readonly net: NetworkName;
    readonly portDriver: 'builtin' | 'none';
    readonly copyUp: readonly string[];
    readonly hostLoopback: boolean;
    /** For slirp4netns' sandbox and seccomp filter. */
    readonly slirp4netnsSwitches: 'auto' | 'false';
    readonly systemPath: boolean;
  };
  /** Prefix of each line on standard error. */
  readonly linePrefix: string;
  /** Format of log lines other than errors; only the prefix is added where absent. */
  readonly lineFormat?: LineFormat;
  /** Exit code of a failure before the command is executed. */
  readonly failed: number;
  /** Exit code of a command, or of a start, that a signal terminated. */
  endedBySignal(number: number): number;
  /** What is logged of a start that a signal terminated; undefined for nothing, since the sender knows. */
  describeEndOfStart(number: number): string | undefined;
  /** Lines on standard error for a command that did not exit with code 0. */
  describeEnd(command: readonly string[], result: CommandResult): string[];
}

export const rootlessRun: Dialect = {
  name: 'rootless-run',
  defaults: {
    net: DEFAULTS.net,
    portDriver: DEFAULTS.portDriver,
    copyUp: DEFAULTS.copyUp,
    hostLoopback: DEFAULTS.hostLoopback,
    slirp4netnsSwitches: DEFAULTS.slirp4netns.sandbox,
    systemPath: true,
  },
  linePrefix: 'rootless-run: ',
  failed: EXIT.notStarted,
  endedBySignal: signalExitCode,
  describeEndOfStart: () => undefined,
  // The exit code is enough; after Ctrl-C or `| head` a message would only disturb.
  describeEnd: () => [],
};

const ROOTLESSKIT_PREFIX = '[rootlesskit:parent] ';

export const rootlesskit: Dialect = {
  name: 'rootlesskit',
  defaults: {
    net: 'host',
    portDriver: 'none',
    copyUp: [],
    hostLoopback: true,
    slirp4netnsSwitches: 'false',
    systemPath: false,
  },
  linePrefix: ROOTLESSKIT_PREFIX,
  // The final error line does not have the format of the log.
  lineFormat: (level, message) =>
    level === 'error' ? `${ROOTLESSKIT_PREFIX}error: ${message}` : logrusLine(level, message),
  failed: 1,
  endedBySignal: () => ENDED_BY_SIGNAL,
  describeEndOfStart: (number) => `terminated by ${signalName(number)} while starting`,
  // Each of RootlessKit's two processes reports how its child exited, and scripts search for that.
  describeEnd: (command, result) => {
    const how = 'signal' in result ? `signal: ${signalText(result.signal)}` : `exit status ${result.code}`;
    const code = 'signal' in result ? ENDED_BY_SIGNAL : result.code;
    return [
      `[rootlesskit:child ] error: command [${command.join(' ')}] exited: ${how}`,
      `[rootlesskit:parent] error: child exited: exit status ${code}`,
    ];
  },
};

/** RootlessKit's exit code for a command that a signal terminated. */
const ENDED_BY_SIGNAL = 255;
