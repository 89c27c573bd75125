/** Options of `run` and `create` for the program of the container: its environment, its privileges, and how it is stopped. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { NewContainer } from '../../../parent/client/container-client.js';
import { UsageError } from '../../../parent/errors.js';
import { capabilityName } from '../../../protocol/containers/capabilities.js';
import { parseMount, parseTmpfs, parseVolume } from '../../../protocol/containers/mounts.js';
import { ContainerOptionError } from '../../../protocol/containers/option-error.js';
import { parseRestartPolicy } from '../../../protocol/containers/restart-policy.js';
import { parseUlimit } from '../../../protocol/containers/rlimits.js';
import { checkSysctl, sysctlName } from '../../../protocol/containers/sysctls.js';
import { signalNumber } from '../../../protocol/system/signals.js';
import { parseByteSize } from '../../../protocol/text/byte-size.js';
import { getCaller } from '../../common/caller.js';
import { optionProblem } from '../../common/option-problem.js';
import { readKeyValueFile } from './key-value-file.js';
import { collect, parseLabel } from './values.js';

export interface ProgramOptions {
  entrypoint?: string;
  env: string[];
  envFile: string[];
  label: string[];
  labelFile: string[];
  annotation: string[];
  volume: string[];
  mount: string[];
  tmpfs: string[];
  groupAdd: string[];
  sysctl: string[];
  capAdd: string[];
  capDrop: string[];
  ulimit: string[];
  shmSize?: string;
  init?: boolean;
  stopSignal?: string;
  stopTimeout?: string;
  restart?: string;
  pidFile?: string;
}

export function withProgramOptions(command: Command): Command {
  return command
    .option('--entrypoint <program>', 'program that gets the command as its arguments')
    .option('-e, --env <variable>', 'NAME=value, or NAME to pass on; may be repeated', collect, [])
    .option('--env-file <file>', 'file with one variable per line; may be repeated', collect, [])
    .option('-v, --volume <mount>', 'SOURCE:TARGET[:ro]; may be repeated', collect, [])
    .option(
      '--mount <mount>',
      'comma-separated fields: type=bind, source=PATH, target=PATH, readonly; or type=tmpfs, target=PATH, tmpfs-size=SIZE, tmpfs-mode=MODE; may be repeated',
      collect,
      [],
    )
    .option('--tmpfs <path>', 'PATH[:size=SIZE,mode=MODE,…]: mount a tmpfs; may be repeated', collect, [])
    .option('--shm-size <size>', 'size of /dev/shm (k, m, g; default: 64m)')
    .option('--group-add <group>', 'additional group of the user; may be repeated', collect, [])
    .option('--sysctl <setting>', 'NAME=value: set a namespaced sysctl (net.*, …); may be repeated', collect, [])
    .option('--cap-add <capability>', 'add a capability, such as NET_ADMIN, or ALL; may be repeated', collect, [])
    .option('--cap-drop <capability>', 'drop a capability, or ALL; may be repeated', collect, [])
    .option('--ulimit <limit>', 'NAME=SOFT[:HARD], such as nofile=1024:4096; may be repeated', collect, [])
    .option('--init', 'run an init process that forwards signals and reaps orphaned processes')
    .option('--stop-signal <signal>', 'signal to stop the container with (default: TERM)')
    .option('--stop-timeout <seconds>', 'time before it is killed, -1 for no limit (default: 10)')
    .option('--restart <policy>', 'restart policy: no, on-failure[:COUNT], always, unless-stopped')
    .option('-l, --label <label>', 'NAME=value; may be repeated', collect, [])
    .option('--label-file <file>', 'file with one label per line; may be repeated', collect, [])
    .option(
      '--annotation <annotation>',
      'NAME=value: add an annotation to the OCI configuration; may be repeated',
      collect,
      [],
    )
    .option('--pidfile, --pid-file <file>', 'file for the pid of the first process; removed when it exits');
}

/** The entrypoint, followed by the command; undefined for the command of the bundle. */
export function commandOf(command: readonly string[], { entrypoint }: ProgramOptions): string[] | undefined {
  const words = entrypoint === undefined ? [...command] : [entrypoint, ...command];
  return words.length > 0 ? words : undefined;
}

/** Throws UsageError. */
export function programRequest(options: ProgramOptions): NewContainer {
  const { shmSize, stopSignal, stopTimeout, pidFile } = options;
  const absolute = (path: string) => resolve(path);
  const all = <T>(option: string, texts: readonly string[], parse: (text: string) => T) =>
    texts.map((text) => withOption(option, () => parse(text)));
  return {
    env: environment(options),
    labels: Object.fromEntries(
      [
        ...options.labelFile.flatMap((path) =>
          readKeyValueFile({ option: '--label-file', path, alone: (name) => name }),
        ),
        ...options.label,
      ].map(parseLabel),
    ),
    annotations: Object.fromEntries(options.annotation.map((text) => pairOf('--annotation', text))),
    mounts: [
      ...all('--volume', options.volume, (text) => parseVolume(text, absolute)),
      ...all('--mount', options.mount, (text) => parseMount(text, absolute)),
      ...all('--tmpfs', options.tmpfs, parseTmpfs),
    ],
    groupAdd: options.groupAdd,
    sysctls: Object.fromEntries(all('--sysctl', options.sysctl, parseSysctl)),
    capAdd: all('--cap-add', options.capAdd, capabilityName),
    capDrop: all('--cap-drop', options.capDrop, capabilityName),
    // The last one of each name wins.
    ulimits: [...new Map(all('--ulimit', options.ulimit, parseUlimit).map((limit) => [limit.name, limit])).values()],
    shmSize: shmSize === undefined ? undefined : parseShmSize(shmSize),
    init: options.init ?? false,
    stopSignal: stopSignal === undefined ? undefined : withOption('--stop-signal', () => checkedSignal(stopSignal)),
    stopTimeout: stopTimeout === undefined ? undefined : parseStopTimeout(stopTimeout),
    restart: withOption('--restart', () => parseRestartPolicy(options.restart ?? '')),
    pidFile: pidFile === undefined ? undefined : resolve(pidFile),
  };
}

/** As with docker, -e overrides the files. Throws UsageError. */
export function environment({ env, envFile }: Pick<ProgramOptions, 'env' | 'envFile'>): string[] {
  const inherited = (name: string) => {
    const value = getCaller().env[name];
    return value === undefined ? undefined : `${name}=${value}`;
  };
  const ofFiles = envFile.flatMap((path) => readKeyValueFile({ option: '--env-file', path, alone: inherited }));
  return [...ofFiles, ...env.flatMap((text) => (text.includes('=') ? [text] : (inherited(text) ?? [])))];
}

/** Runs a parser. Throws UsageError with the option in place of ContainerOptionError. */
function withOption<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ContainerOptionError)
      throw new UsageError(optionProblem(option, error.message), { hint: error.hint });
    throw error;
  }
}

/** Throws UsageError. */
function pairOf(option: string, text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new UsageError(`invalid ${option} ${JSON.stringify(text)}: expected NAME=value`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** Throws UsageError and ContainerOptionError. */
function parseSysctl(text: string): [string, string] {
  const [given, value] = pairOf('--sysctl', text);
  const name = sysctlName(given);
  checkSysctl(name, value);
  return [name, value];
}

/** As with docker, 0 means the default. Throws UsageError. */
function parseShmSize(text: string): number | undefined {
  const size = parseByteSize(text);
  if (size !== undefined) return size || undefined;
  throw new UsageError(`invalid --shm-size ${JSON.stringify(text)}: expected a number of bytes, or one with k, m or g`);
}

/** Throws UsageError. */
function parseStopTimeout(text: string): number {
  if (/^(-1|\d{1,6})$/.test(text)) return Number(text);
  throw new UsageError(
    `invalid --stop-timeout ${JSON.stringify(text)}: expected a number of seconds, or -1 for no limit`,
  );
}

/** Throws ContainerOptionError. */
function checkedSignal(text: string): string {
  signalNumber(text);
  return text;
}
