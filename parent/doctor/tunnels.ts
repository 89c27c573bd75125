import type { Check, Machine } from './check.js';

/** Networks over several hosts need WireGuard: the kernel's, or wireguard-go, which needs a TUN device. */
export const wireguard: Check = async (machine) => {
  const name = 'wireguard';
  if (await isInKernel(machine)) return { name, status: 'ok', what: 'the kernel has WireGuard' };
  const none = 'the kernel has no WireGuard';
  const purpose = 'networks over several hosts cannot be used';
  if ((await machine.find('wireguard-go')) === undefined) {
    const fix = 'sudo apt-get install wireguard-go';
    return { name, status: 'warning', what: `${none}, and wireguard-go is not installed: ${purpose}`, fix };
  }
  const problem = await machine.tunProblem();
  if (problem) return { name, status: 'warning', ...problem, what: `${none}, and ${problem.what}: ${purpose}` };
  return { name, status: 'ok', what: `${none}; wireguard-go is used, which is slower` };
};

/** Loaded, built in, or a module that the kernel loads when a device is made. */
async function isInKernel(machine: Machine): Promise<boolean> {
  if (await machine.stat('/sys/module/wireguard')) return true;
  const release = (await machine.read('/proc/sys/kernel/osrelease')).trim();
  const lists = ['modules.builtin', 'modules.dep'].map((list) => machine.read(`/lib/modules/${release}/${list}`));
  return (await Promise.all(lists)).some((list) => /\/wireguard\.ko(\.\w+)?(:|$)/m.test(list));
}
