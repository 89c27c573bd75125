/** `-o` of `network create`: this project's names of options, and docker's names for the same. */
import { UsageError } from '../../../parent/errors.js';
import { parseLabel } from './values.js';

export interface ParsedNetworkOptions {
  options: Record<string, string>;
  /** Whether containers may reach each other; undefined if no option sets it. */
  icc?: boolean | undefined;
}

const RENAMED: Readonly<Record<string, string>> = {
  'com.docker.network.driver.mtu': 'mtu',
  macvlan_mode: 'mode',
};

/** Options that the stack does not support, with the reason and an alternative. */
const REFUSED: Readonly<Record<string, string>> = {
  'com.docker.network.bridge.name':
    "bridges are devices in the stack's network namespace, which assigns their names; hint: leave it out",
  'com.docker.network.bridge.host_binding_ipv4': 'networks have no address for published ports; hint: -p IP:PORT:PORT',
  'com.docker.network.bridge.inhibit_ipv4':
    'bridges have the address of the gateway; hint: --internal for no access to the outside',
  'com.docker.network.container_iface_prefix':
    'interfaces are named eth0, eth1 …; hint: --network name=NET,driver-opt=com.docker.network.endpoint.ifname=NAME',
  'com.docker.network.bridge.gateway_mode_ipv4': 'only nat is supported; hint: --internal for no access to the outside',
  'com.docker.network.bridge.gateway_mode_ipv6': 'only nat is supported; hint: --internal for no access to the outside',
};
/** Options with a fixed value: only that value is accepted. */
const FIXED: Readonly<Record<string, [value: string, hint: string]>> = {
  'com.docker.network.bridge.enable_ip_masquerade': ['true', '--internal for no access to the outside'],
  'com.docker.network.bridge.default_bridge': ['false', 'leave it out'],
};

/** Throws UsageError. */
export function parseNetworkOptions(texts: readonly string[]): ParsedNetworkOptions {
  const parsed: ParsedNetworkOptions = { options: {} };
  for (const text of texts) {
    const fail = (problem: string): never => {
      throw new UsageError(`invalid -o ${JSON.stringify(text)}: ${problem}`);
    };
    const [name, value] = parseLabel(text);
    const reason = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
    if (reason !== undefined) fail(reason);
    const fixed = Object.hasOwn(FIXED, name) ? FIXED[name] : undefined;
    if (fixed) {
      if (flagOf(value, fail) !== flagOf(fixed[0], fail)) fail(`it is always ${fixed[0]}; hint: ${fixed[1]}`);
    } else if (name === 'com.docker.network.bridge.enable_icc') parsed.icc = flagOf(value, fail);
    else if (name === 'isolate') {
      // Podman's option.
      if (!flagOf(value, fail)) fail('networks are always isolated; hint: connect the container to both');
    } else {
      const own = (Object.hasOwn(RENAMED, name) ? RENAMED[name] : undefined) ?? name;
      if (Object.hasOwn(parsed.options, own)) fail(`${own} is given twice`);
      parsed.options[own] = value;
    }
  }
  return parsed;
}

function flagOf(value: string, fail: (problem: string) => never): boolean {
  if (/^(true|1|t)$/i.test(value)) return true;
  if (/^(false|0|f)$/i.test(value)) return false;
  return fail('expected true or false');
}
