/** The user's directories (XDG Base Directory Specification). As specified there, a relative path counts as not set. */
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { dataLockPath, statePath } from '../../protocol/state/state-layout.js';
import { UsageError } from '../errors.js';

function fromEnvironment(name: string): string | undefined {
  const path = process.env[name];
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

/** Throws UsageError if it is not known. */
function home(): string {
  try {
    // Node does not treat an empty HOME as unset.
    const path = process.env.HOME === '' ? userInfo().homedir : homedir();
    if (isAbsolute(path)) return path;
  } catch {
    // This user is not in the user database.
  }
  throw new UsageError('HOME is not set to an absolute path; set it to your home directory');
}

export function configHome(): string {
  return fromEnvironment('XDG_CONFIG_HOME') ?? join(home(), '.config');
}

function dataHome(): string {
  return fromEnvironment('XDG_DATA_HOME') ?? join(home(), '.local', 'share');
}

export function stateHome(): string {
  return fromEnvironment('XDG_STATE_HOME') ?? join(home(), '.local', 'state');
}

/** State directory of the stack that commands use by default. Throws UsageError. */
export function defaultStateDir(): string {
  const runtime = fromEnvironment('XDG_RUNTIME_DIR');
  if (runtime === undefined) {
    throw new UsageError('XDG_RUNTIME_DIR is not set to an absolute path; use --state-dir, or log in again');
  }
  return join(runtime, 'rootless-net');
}

/** Directory of rootless-net's settings. */
export function configDirectory(): string {
  return join(configHome(), 'rootless-net');
}

/** Directory of containers, their names and addresses. */
export function dataDirectory(): string {
  return join(dataHome(), 'rootless-net');
}

/** Directories of containers, and of networks, where other CNI runtimes find them. */
export function containerDirectories(): { dataDir: string; confDir: string } {
  return { dataDir: dataDirectory(), confDir: join(configHome(), 'cni', 'net.d') };
}

/** Lock that is held while a stack is given a name. */
export function namesLock(): string {
  return join(stateHome(), 'rootless-net', 'names.lock');
}

/** Like defaultStateDir(), but undefined if XDG_RUNTIME_DIR is not set. */
export function defaultStateDirIfAny(): string | undefined {
  return fromEnvironment('XDG_RUNTIME_DIR') && defaultStateDir();
}

/** Locks by which this user's stacks are found: that of the default stack, and that of the stack with the containers. */
export function knownLocks(): string[] {
  const directory = defaultStateDirIfAny();
  return [...(directory === undefined ? [] : [statePath(directory, 'lock')]), dataLockPath(dataDirectory())];
}
