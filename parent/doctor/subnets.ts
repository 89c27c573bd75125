import { collisionWith } from '../network/host/networks.js';
import type { Check } from './check.js';

/** Networks of containers whose subnets overlap networks of the host, which a stack then cannot reach. */
export const subnets: Check = async (machine) => {
  const name = 'subnets';
  const host = await machine.hostNetworks();
  if (host === undefined) return { name, status: 'warning', what: 'the routes of the host cannot be listed' };
  const networks = await machine.containerNetworks();
  const hits = networks.flatMap((network) => {
    const hit = collisionWith(network.subnet, host);
    return hit ? [{ ...network, what: hit.what }] : [];
  });
  if (hits.length === 0) {
    const what =
      networks.length === 0
        ? 'no network of containers yet'
        : 'networks of containers do not overlap those of the host';
    return { name, status: 'ok', what };
  }
  const lines = hits.map(({ name: network, subnet, what }) => `${subnet} of the network ${network} overlaps ${what}`);
  const fixes = hits.map(({ name: network, own, file }) =>
    own ? `rootless-net network update ${network} --subnet CIDR` : `change the subnet in ${file}`,
  );
  return {
    name,
    status: 'warning',
    what: `${lines.join('; ')}: unreachable for a stack that uses it`,
    fix: [...new Set(fixes)].join('\n'),
  };
};
