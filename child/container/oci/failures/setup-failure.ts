/**
 * What an OCI runtime could not set up for a container. Runtimes report it only as a line of text, each in its own form;
 * failures of what options request are recognized here, and become errors that name the option.
 */
import { ContainerError } from '../../errors.js';

/** Messages of runc and crun. */
const WORKDIR = [
  /chdir to cwd \("(.*)"\) set in config\.json failed: (.*)/,
  /chdir `(.*)`: (.*)/,
  /^mkdir (\/.*): (.*)/,
];
const SYSCTL = [/(?:write(?: to)?|open) \/proc\/sys\/(\S+): (.*)/];
const MOUNT = [/mounting "(.*?)" to rootfs at "(.*?)": (.*)/, /^mount `(.*?)` to `(.*?)`: (.*)/];

/** How runc begins its messages, without any information. */
const PREFIXES =
  /^(?:runc \w+ failed: |exec failed: |unable to start container process: |error during container init: )+/;

/** A runtime's message without its prefixes, which state only that it failed. */
export function withoutPrefix(line: string): string {
  return line.replace(PREFIXES, '');
}

/**
 * @param line a message from withoutPrefix()
 * @returns undefined if it is not about an option
 */
export function setupFailure(line: string): ContainerError | undefined {
  const workdir = match(WORKDIR, line);
  if (workdir) {
    const [directory = '', reason = ''] = workdir;
    const why = /no such file/i.test(reason) ? 'no such directory' : lower(reason);
    return new ContainerError(`cannot change to ${directory} in the container (--workdir): ${why}`);
  }
  const sysctl = match(SYSCTL, line);
  if (sysctl) {
    const [name = '', reason = ''] = sysctl;
    return new ContainerError(
      `--sysctl ${name.replaceAll('/', '.')}: ${/no such file/i.test(reason) ? 'no such setting exists when the container is created' : `the kernel refuses its value (${lower(reason)})`}`,
    );
  }
  const mount = match(MOUNT, line);
  if (mount) {
    const [source = '', target = '', reason = ''] = mount;
    const at = target.startsWith('/') ? target : `/${target}`;
    return new ContainerError(
      `cannot mount ${source} at ${at} in the container: ${lower(reason.replace(/^.*flags: \w+(?:, data: \S+)?: /, ''))}`,
    );
  }
  return undefined;
}

function match(forms: readonly RegExp[], line: string): string[] | undefined {
  for (const form of forms) {
    const found = form.exec(line);
    if (found) return found.slice(1);
  }
  return undefined;
}

/** Our messages have the kernel's reasons in lower case. */
function lower(reason: string): string {
  return reason.charAt(0).toLowerCase() + reason.slice(1);
}
