/**
 * The arguments, environment and signals that this command was started with. native/src/front/front.c hides them from Node,
 * which would interpret, reset or lose some of them, and passes them in a file; see there for its format. A command that was
 * started as a script of Node has what Node left of them.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { native } from '../../native/index.js';
import type { StartedLauncher } from '../../parent/namespaces/launcher.js';
import { decodeArgument, encodeArguments } from '../../protocol/text/argument-bytes.js';

export interface Caller {
  /** Without the name of the program. */
  args: readonly string[];
  /** The environment, with the variables that Node would interpret. */
  env: NodeJS.ProcessEnv;
  /** Numbers of the signals that must stay ignored. */
  ignoredSignals: readonly number[];
  /** The process that will run the command, if the front has started one. */
  launcher?: StartedLauncher;
}

/** Contains the descriptor of the file and the pid of the process that it is for. */
const VARIABLE = 'ROOTLESS_NET_FRONT';

/** Delay in ms after which ps(1) shows the command line as it was typed instead of Node's. */
const COMMAND_LINE_DELAY = 100;

let caller: Caller | undefined;

/** Read once; the same object each time. */
export function getCaller(): Caller {
  caller ??= readCaller();
  return caller;
}

function readCaller(): Caller {
  const [fd, pid] = (process.env[VARIABLE] ?? '').split(':');
  delete process.env[VARIABLE];
  if (fd === undefined || pid !== String(process.pid)) {
    return { args: process.argv.slice(2), env: process.env, ignoredSignals: [] };
  }
  const { launcherPid, control, ignored, descriptors, words, hidden } = parse(readAll(Number(fd)));
  restoreProcess(descriptors, ignored, words);
  return {
    args: words.slice(1),
    env: hidden.length === 0 ? process.env : { ...process.env, ...Object.fromEntries(hidden) },
    ignoredSignals: ignored,
    ...(launcherPid > 0 ? { launcher: { pid: launcherPid, control, variables: Object.keys(process.env) } } : {}),
  };
}

/** Undoes what Node has changed in this process at its start. */
function restoreProcess(descriptors: readonly number[], ignored: readonly number[], words: readonly string[]): void {
  try {
    for (const descriptor of descriptors) native().closeOnExec(descriptor);
    for (const number of ignored) native().ignoreSignal(number);
  } catch {
    // The native part is missing: its users report that.
  }
  // A command that ends before does not load the native part only for this.
  setTimeout(() => {
    try {
      native().setCommandLine(encodeArguments(words));
    } catch {
      // Not permitted by the kernel: Node's command line remains, and its first word is our name as well.
    }
  }, COMMAND_LINE_DELAY).unref();
}

/** Reads the whole file, and closes it. */
function readAll(fd: number): Buffer {
  const data = Buffer.alloc(fstatSync(fd).size);
  for (let at = 0; at < data.length; ) at += readSync(fd, data, at, data.length - at, at);
  closeSync(fd);
  return data;
}

function parse(data: Buffer) {
  const strings: string[] = [];
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0, at);
    strings.push(decodeArgument(data.subarray(at, end)));
    at = end + 1;
  }
  const [launcherPid = '', control = '', ignored = '', descriptors = '', count = '', ...rest] = strings;
  const numbers = (list: string) => list.split(',').filter(Boolean).map(Number);
  return {
    launcherPid: Number(launcherPid),
    control: Number(control),
    ignored: numbers(ignored),
    descriptors: numbers(descriptors),
    words: rest.slice(0, Number(count)),
    hidden: rest.slice(Number(count)).map((entry): [name: string, value: string] => {
      const equals = entry.indexOf('=');
      return [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  };
}
