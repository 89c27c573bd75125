import { readFile } from 'node:fs/promises';
import { LAUNCHER } from '../../native/index.js';
import { NamespaceError, type Problem, problemText } from '../errors.js';

/** Value of a sysctl, "" if the kernel lacks it. */
export type ReadSysctl = (name: string) => Promise<string>;

async function readSysctl(name: string): Promise<string> {
  return (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => '')).trim();
}

/** A refused request of the launcher. */
export interface Refusal {
  /** Name of the errno. */
  code: string;
  /** What was tried. */
  what: string;
  /** Name of the namespace that was refused, "" if it was none. */
  object: string;
}

/**
 * Why the kernel refused a namespace, and what to do about it. Sources: user_namespaces(7), Debian's
 * unprivileged_userns_clone, Ubuntu's apparmor_restrict_unprivileged_userns.
 */
export async function explainUnshare(
  { code, what, object }: Refusal,
  sysctl: ReadSysctl = readSysctl,
  launcher: string = LAUNCHER,
): Promise<NamespaceError> {
  const namespace = object;
  const problem = await explainRefusal(code, namespace, sysctl, launcher);
  return new NamespaceError(
    `cannot make the namespaces (${what} ${namespace}: ${code}): ${problemText(problem)}`,
    problem,
  );
}

async function explainRefusal(code: string, namespace: string, sysctl: ReadSysctl, launcher: string): Promise<Problem> {
  if ((await sysctl('kernel/unprivileged_userns_clone')) === '0') {
    return {
      what: 'this kernel denies user namespaces to users',
      fix: 'sudo sysctl -w kernel.unprivileged_userns_clone=1',
    };
  }
  const limit = `max_${namespace}_namespaces`;
  if ((await sysctl(`user/${limit}`)) === '0' || code === 'ENOSPC') {
    return {
      what: `no more ${namespace} namespaces are allowed (user.${limit})`,
      fix: `sudo sysctl -w user.${limit}=28633`,
    };
  }
  if (await appArmorRestricts(sysctl)) {
    const { path, text } = appArmorProfile(launcher);
    return {
      what: 'AppArmor restricts user namespaces to programs with a profile',
      fix: `printf '${text.replaceAll('\n', '\\n')}' | sudo tee ${path} && sudo systemctl reload apparmor`,
    };
  }
  return {
    what: 'user namespaces are not allowed here; inside a container, its runtime has to allow unshare(2) (seccomp), or run it unconfined',
  };
}

/** Whether AppArmor allows user namespaces only to programs with a profile, as on Ubuntu since 23.10. */
export async function appArmorRestricts(sysctl: ReadSysctl): Promise<boolean> {
  return (await sysctl('kernel/apparmor_restrict_unprivileged_userns')) === '1';
}

/** A profile that allows the launcher to make user namespaces, and its path (apparmor.d(5)). */
export function appArmorProfile(launcher: string): { path: string; text: string } {
  const name = launcher.slice(1).replaceAll('/', '.');
  return {
    path: `/etc/apparmor.d/${name}`,
    text: `abi <abi/4.0>,\ninclude <tunables/global>\nprofile ${name} ${launcher} flags=(unconfined) {\n  userns,\n}\n`,
  };
}
