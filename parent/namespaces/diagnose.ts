import { readFile } from 'node:fs/promises';
import { LAUNCHER } from '../../native/index.js';
import { NamespaceError } from '../errors.js';

/** Value of a sysctl, "" where the kernel lacks it. */
export type ReadSysctl = (name: string) => Promise<string>;

async function readSysctl(name: string): Promise<string> {
  return (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => '')).trim();
}

/**
 * Why the kernel refused a namespace, and what to do about it. `code` is the errno's name. Sources: user_namespaces(7),
 * Debian's unprivileged_userns_clone, Ubuntu's apparmor_restrict_unprivileged_userns.
 */
export async function explainUnshare(
  code: string,
  what: string,
  /** Name of the namespace that was refused, where it was one. */
  namespace = 'user',
  sysctl: ReadSysctl = readSysctl,
  launcher: string = LAUNCHER,
): Promise<NamespaceError> {
  const failed = `cannot make the namespaces (${what} ${namespace}: ${code})`;
  if ((await sysctl('kernel/unprivileged_userns_clone')) === '0') {
    return new NamespaceError(
      `${failed}: this kernel keeps user namespaces from users; to allow them: sudo sysctl -w kernel.unprivileged_userns_clone=1`,
    );
  }
  const limit = `max_${namespace}_namespaces`;
  if ((await sysctl(`user/${limit}`)) === '0' || code === 'ENOSPC') {
    return new NamespaceError(
      `${failed}: no more ${namespace} namespaces are allowed (user.${limit}); to allow them: sudo sysctl -w user.${limit}=28633`,
    );
  }
  if ((await sysctl('kernel/apparmor_restrict_unprivileged_userns')) === '1') {
    const name = launcher.slice(1).replaceAll('/', '.');
    return new NamespaceError(
      `${failed}: AppArmor restricts user namespaces; to allow them for this program: ` +
        `printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile ${name} ${launcher} flags=(unconfined) {\\n  userns,\\n}\\n' | ` +
        `sudo tee /etc/apparmor.d/${name} && sudo systemctl reload apparmor`,
    );
  }
  return new NamespaceError(
    `${failed}: user namespaces are not allowed here; inside a container, its runtime has to allow unshare(2) (seccomp), or run it unconfined`,
  );
}
