/** The addresses that stacks and containers get for `-p auto`. */
import { parseCIDR, type Subnet } from '../../../protocol/net/cidr.js';
import { UsageError } from '../../errors.js';

export const AUTO_ADDRESSES = '127.0.0.0/8';

/** `--auto-address`. Throws UsageError unless all of its addresses are the host's loopback. */
export function parseAutoAddresses(text: string): Subnet {
  const subnet = parseCIDR(text.includes('/') ? text : `${text}/32`)?.subnet;
  const loopback = parseCIDR(AUTO_ADDRESSES)?.subnet;
  if (subnet && loopback && subnet.family === 4 && loopback.first <= subnet.first && subnet.last <= loopback.last) {
    return subnet;
  }
  throw new UsageError(
    `invalid --auto-address ${JSON.stringify(text)}: expected a network of loopback addresses, such as 127.1.0.0/16`,
    { hint: 'for another address: -p ADDRESS:auto' },
  );
}
