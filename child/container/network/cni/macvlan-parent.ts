import type { NetworkRequest } from '../../../../protocol/containers/types.js';
import { RouteSocket } from '../../../netlink/route.js';
import { ContainerError } from '../../errors.js';

/**
 * Refuses a macvlan network on a device that does not exist in this namespace: no container could be started on it. Invalid
 * names are reported by the validation of the request. Throws ContainerError.
 */
export function requireParent({ driver, options }: Pick<NetworkRequest, 'driver' | 'options'>): void {
  const { parent } = options;
  if (driver !== 'macvlan' || parent === undefined || !/^[\w.:-]{1,15}$/.test(parent)) return;
  using socket = new RouteSocket();
  const links = socket.links();
  if (links.some(({ name }) => name === parent)) return;
  const others = links.map(({ name }) => name).filter((name) => !/^(lo|rootless0|rnv.*|rn-.*)$/.test(name));
  throw new ContainerError(
    `no device ${parent} in the namespace of the stack (-o parent=${parent}); hint: ${
      others.length === 0 ? 'create it there with ip link first' : `it has ${others.slice(0, 10).join(', ')}`
    }`,
  );
}
