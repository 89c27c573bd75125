/** `network connect` and `network disconnect`. */
import { Command } from 'commander';
import type { NetDeps } from '../../deps.js';
import { type ConnectOptions, parseConnection } from '../../options/network-option.js';
import { collect } from '../../options/values.js';

export function makeConnectCommand({ stack }: NetDeps): Command {
  return new Command('connect')
    .description('connect a container to a network')
    .argument('<network>')
    .argument('<container>')
    .option('--ip <address>', 'IPv4 address on the network')
    .option('--ip6 <address>', 'IPv6 address on the network')
    .option('--mac-address <address>', 'MAC address on the network')
    .option('--alias <name>', 'additional name on the network; may be repeated', collect)
    .option('--driver-opt <option>', 'com.docker.network.endpoint.ifname=NAME: name of the interface', collect)
    .option('--gw-priority <number>', 'the default route uses the network with the highest priority')
    .action(async (name: string, container: string, options: ConnectOptions) => {
      const request = parseConnection(name, options);
      await (await stack.connectForExisting('container', [container])).connect(name, container, request);
    });
}

export function makeDisconnectCommand({ stack }: NetDeps): Command {
  return new Command('disconnect')
    .description('disconnect a container from a network')
    .argument('<network>')
    .argument('<container>')
    .option('-f, --force', 'accepted for compatibility with docker; ignored')
    .action(async (name: string, container: string) =>
      (await stack.connectForExisting('container', [container])).disconnect(name, container),
    );
}
