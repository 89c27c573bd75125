import { OCI_RUNTIMES } from '../../protocol/containers/types.js';
import type { Check } from './check.js';

/** Programs that containers need, with their Debian packages. */
const NEEDED = { nft: 'nftables', mount: 'mount', setpriv: 'util-linux' } as const;

export const containers: Check = async (machine) => {
  const name = 'containers';
  const runtimes = await installed(machine.find, OCI_RUNTIMES);
  const needed = await installed(machine.find, Object.keys(NEEDED));
  const missing = Object.entries(NEEDED).filter(([program]) => !needed.includes(program));
  if (runtimes.length > 0 && missing.length === 0) {
    return { name, status: 'ok', what: `containers can be run by ${runtimes.join(' and ')}` };
  }
  const packages = [...(runtimes.length > 0 ? [] : ['runc']), ...missing.map(([, debian]) => debian)];
  const absent = [...(runtimes.length > 0 ? [] : ['an OCI runtime']), ...missing.map(([program]) => program)];
  return {
    name,
    status: 'warning',
    what: `rootless-net cannot run containers: ${absent.join(', ')} missing`,
    fix: `sudo apt-get install ${packages.join(' ')}`,
  };
};

async function installed(
  find: (name: string) => Promise<string | undefined>,
  programs: readonly string[],
): Promise<string[]> {
  const found = await Promise.all(programs.map(find));
  return programs.filter((_, index) => found[index] !== undefined);
}
