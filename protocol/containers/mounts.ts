/**
 * Mounts of a container besides its root file system: files and directories of the host (-v, --mount), and tmpfs (--tmpfs,
 * --mount type=tmpfs). The grammar is docker's.
 */
import { isAbsolute, normalize } from 'node:path';
import { parseByteSize } from '../text/byte-size.js';
import { ContainerOptionError } from './option-error.js';

export type ContainerMount =
  | {
      type: 'bind';
      /** Of a file or a directory of the host. */
      source: string;
      target: string;
      /** See BIND_OPTIONS. */
      options: string[];
    }
  | {
      type: 'tmpfs';
      target: string;
      /** As mount(8) has them; see tmpfsProblem(). */
      options: string[];
    };

const FLAGS = ['ro', 'rw', 'nosuid', 'suid', 'nodev', 'dev', 'noexec', 'exec'];
const PROPAGATION = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];
/** Options of bind mounts. */
const BIND_OPTIONS: readonly string[] = [...FLAGS, ...PROPAGATION, 'bind', 'rbind'];
/** Options of docker and podman that have no effect here: SELinux labels, copies of volumes, caches. */
const WITHOUT_EFFECT = ['z', 'Z', 'nocopy', 'consistent', 'cached', 'delegated', 'default'];
const TMPFS_FLAGS: readonly string[] = [
  ...FLAGS,
  'noatime',
  'atime',
  'nodiratime',
  'diratime',
  'relatime',
  'strictatime',
  'sync',
  'async',
];
const TMPFS_VALUES: Readonly<Record<string, RegExp>> = {
  size: /^\d{1,15}([kmgKMG]|%)?$/,
  nr_inodes: /^\d{1,15}[kmgKMG]?$/,
  nr_blocks: /^\d{1,15}[kmgKMG]?$/,
  mode: /^0?[0-7]{1,4}$/,
  uid: /^\d{1,9}$/,
  gid: /^\d{1,9}$/,
};

/** Why a mount is invalid, as the end of a line; undefined if it is valid. */
export function mountProblem(mount: ContainerMount): string | undefined {
  const { type, target, options } = mount;
  const path = (text: string) => isAbsolute(text) && !/[\0\n]/.test(text);
  if (type === 'bind' && !path(mount.source))
    return `the source ${JSON.stringify(mount.source)} is not an absolute path`;
  if (!path(target)) return `the target ${JSON.stringify(target)} is not an absolute path`;
  const place = normalize(`${target}/`);
  // The runtime mounts these itself.
  if (place === '/' || place === '/proc/') return `the target cannot be ${place.replace(/(.)\/$/, '$1')}`;
  const problems = options.map(type === 'bind' ? bindProblem : tmpfsProblem);
  return problems.find((problem) => problem !== undefined);
}

function bindProblem(option: string): string | undefined {
  if (BIND_OPTIONS.includes(option)) return undefined;
  return `unknown option ${JSON.stringify(option)}; known are ${['ro', 'rw', 'noexec', 'nosuid', 'nodev', ...PROPAGATION].join(', ')}`;
}

function tmpfsProblem(option: string): string | undefined {
  if (TMPFS_FLAGS.includes(option)) return undefined;
  const [name = '', value = ''] = option.split(/=(.*)/s);
  if (TMPFS_VALUES[name]?.test(value)) return undefined;
  if (TMPFS_VALUES[name]) return `invalid value ${JSON.stringify(value)} of ${name}`;
  return `unknown option ${JSON.stringify(option)}; known are ro, noexec, nosuid, nodev, size, mode, uid and gid`;
}

/** Throws ContainerOptionError. */
function checked(mount: ContainerMount, text: string): ContainerMount {
  const problem = mountProblem(mount);
  if (problem !== undefined) throw new ContainerOptionError(`invalid mount ${JSON.stringify(text)}: ${problem}`);
  return { ...mount, target: cleaned(mount.target) };
}

/** Normalises a path: without `..`, double slashes and trailing slashes. */
export function cleaned(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}

/**
 * `SOURCE:TARGET[:OPTIONS]`.
 *
 * @param absolute makes the source absolute; a relative one begins with a dot, as docker has it
 * @throws ContainerOptionError
 */
export function parseVolume(text: string, absolute: (path: string) => string): ContainerMount {
  const [source = '', target, words = '', ...more] = text.split(':');
  if (target === undefined || source === '' || target === '' || more.length > 0) {
    if (target !== undefined || !isAbsolute(source)) {
      throw new ContainerOptionError(`invalid volume ${JSON.stringify(text)}: expected SOURCE:TARGET[:OPTIONS]`);
    }
    throw new ContainerOptionError(
      `invalid volume ${JSON.stringify(text)}: volumes without a source are not supported`,
      { hint: `SOURCE:${source} mounts a directory, --tmpfs ${source} one in memory` },
    );
  }
  if (!/^[./]/.test(source)) {
    throw new ContainerOptionError(`invalid volume ${JSON.stringify(text)}: named volumes are not supported`, {
      hint: `for the directory ${source} write ./${source}:${target}`,
    });
  }
  const options = words.split(',').filter((word) => word !== '' && !WITHOUT_EFFECT.includes(word));
  return checked({ type: 'bind', source: absolute(source), target, options }, text);
}

/** `TARGET[:OPTIONS]`. Throws ContainerOptionError. */
export function parseTmpfs(text: string): ContainerMount {
  const colon = text.indexOf(':');
  const [target, words] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  return checked({ type: 'tmpfs', target, options: words.split(',').filter((word) => word !== '') }, text);
}

/** Synonyms of the keys of --mount. */
const KEYS: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  'bind-nonrecursive': 'nonrecursive',
};

/**
 * `type=bind|tmpfs,KEY=VALUE,…` (comma-separated values, with quotes around what has a comma in it).
 *
 * @param absolute makes the source absolute
 * @throws ContainerOptionError
 */
export function parseMount(text: string, absolute: (path: string) => string): ContainerMount {
  const fail = (problem: string, hint?: string): never => {
    throw new ContainerOptionError(`invalid mount ${JSON.stringify(text)}: ${problem}`, { hint });
  };
  const fields = new Map<string, string>();
  for (const field of commaSeparated(text)) {
    const [, given = '', value = 'true'] = /^([^=]*)(?:=(.*))?$/s.exec(field) ?? [];
    fields.set(KEYS[given.toLowerCase()] ?? given.toLowerCase(), value);
  }
  const take = (key: string): string | undefined => {
    const value = fields.get(key);
    fields.delete(key);
    return value;
  };
  const flag = (key: string): boolean => {
    const value = take(key) ?? 'false';
    return ['true', '1'].includes(value) || (!['false', '0'].includes(value) && fail(`invalid value of ${key}`));
  };
  const type = take('type') ?? 'volume';
  if (type !== 'bind' && type !== 'tmpfs') {
    if (!['volume', 'image', 'npipe', 'cluster'].includes(type)) {
      return fail(`unknown type ${JSON.stringify(type)}; known are bind and tmpfs`);
    }
    return fail(
      `mounts of the type ${type} are not supported`,
      'type=bind,source=DIRECTORY,target=PATH or type=tmpfs,target=PATH',
    );
  }
  const target = take('target') ?? fail('target=PATH is missing');
  const options = flag('readonly') ? ['ro'] : [];
  let mount: ContainerMount;
  if (type === 'bind') {
    const source = take('source') ?? fail('source=PATH is missing');
    const propagation = take('bind-propagation');
    if (propagation !== undefined && !PROPAGATION.includes(propagation)) fail('invalid value of bind-propagation');
    const single = flag('nonrecursive') || take('bind-recursive') === 'disabled';
    take('consistency');
    const more = [single ? ['bind'] : [], propagation === undefined ? [] : [propagation]].flat();
    mount = { type, source: absolute(source), target, options: [...options, ...more] };
  } else {
    if (fields.has('source')) fail('a tmpfs has no source');
    const size = take('tmpfs-size');
    const bytes = size === undefined ? undefined : parseByteSize(size);
    if (size !== undefined && bytes === undefined) fail('invalid value of tmpfs-size');
    const mode = take('tmpfs-mode');
    const more = [bytes ? [`size=${bytes}`] : [], mode === undefined ? [] : [`mode=${mode}`]].flat();
    mount = { type, target, options: [...options, ...more] };
  }
  const [unknown] = fields.keys();
  if (unknown !== undefined) fail(`unknown key ${JSON.stringify(unknown)}`);
  return checked(mount, text);
}

/** The fields of a line of comma-separated values (RFC 4180). */
function commaSeparated(text: string): string[] {
  const fields = text.match(/(?<=^|,)(?:"(?:[^"]|"")*"|[^,]*)(?=,|$)/g) ?? [];
  return fields.map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field));
}
