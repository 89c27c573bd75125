import { errorText, NamespaceError } from '../errors.js';
import { appArmorProfile, appArmorRestricts } from '../namespaces/diagnose.js';
import type { Check } from './check.js';

export const userNamespaces: Check = async (machine) => {
  const name = 'user-namespaces';
  const sysctl = async (key: string) => (await machine.read(`/proc/sys/${key}`)).trim();
  try {
    await machine.tryNamespaces();
  } catch (error) {
    if (await appArmorRestricts(sysctl)) {
      const { path, text } = appArmorProfile(machine.launcher);
      return {
        name,
        status: 'failed',
        what: 'AppArmor denies user namespaces to programs without a profile',
        fix: `sudo tee ${path} <<'END'\n${text}END\nsudo systemctl reload apparmor`,
      };
    }
    const problem = error instanceof NamespaceError ? error.problem : undefined;
    return { name, status: 'failed', ...(problem ?? { what: errorText(error) }) };
  }
  const limit = Number(await sysctl('user/max_user_namespaces'));
  if (limit > 0 && limit < 1024) {
    const fix = 'sudo sysctl -w user.max_user_namespaces=28633';
    return { name, status: 'warning', what: `at most ${limit} user namespaces are allowed, which may be too few`, fix };
  }
  return { name, status: 'ok', what: 'user, mount and network namespaces can be made' };
};

export const subIds: Check = async ({ user, subIdProblem }) => {
  const name = 'sub-ids';
  if (user.uid === 0) return { name, status: 'ok', what: 'root needs none' };
  const problem = await subIdProblem();
  if (problem === undefined) return { name, status: 'ok', what: `${user.name} has sub-ids` };
  return { name, status: 'warning', ...problem, what: `${problem.what}: only root is mapped` };
};

/** The bit of a program that runs as its owner. */
const SETUID = 0o4000;

export const idMapPrograms: Check = async (machine) => {
  const name = 'newuidmap';
  for (const program of ['newuidmap', 'newgidmap']) {
    const path = await machine.find(program);
    if (path === undefined) {
      const fix = 'sudo apt-get install uidmap';
      return { name, status: 'warning', what: `${program} is not installed: only root is mapped`, fix };
    }
    const stat = await machine.stat(path);
    const setuid = stat !== undefined && stat.uid === 0 && (stat.mode & SETUID) !== 0;
    const capable = async () => /cap_set[ug]id/.test((await machine.run('getcap', path)).output);
    if (!setuid && !(await capable())) {
      const fix = `sudo chown root ${path} && sudo chmod u+s ${path}`;
      return {
        name,
        status: 'failed',
        what: `${path} may not map ids: it is neither setuid root nor has the capability`,
        fix,
      };
    }
  }
  return { name, status: 'ok', what: 'newuidmap and newgidmap are installed and may map ids' };
};
