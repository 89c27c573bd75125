/** `network create` and `network update`. */
import { Command, Option } from 'commander';
import { UsageError } from '../../../../parent/errors.js';
import { printLine } from '../../../common/print.js';
import type { NetDeps } from '../../deps.js';
import { egressOf, withEgressOptions } from '../../options/egress-options.js';
import { parseNetworkOptions } from '../../options/network-driver-options.js';
import { withFieldNames } from '../../options/request-fields.js';
import { collect, parseLabel } from '../../options/values.js';

interface SubnetOptions {
  subnet: string[];
  gateway: string[];
  ipRange: string[];
  auxAddress: string[];
  force?: boolean;
}

interface CreateOptions extends SubnetOptions {
  driver: string;
  ipv4: boolean;
  ipv6?: boolean;
  internal?: boolean;
  icc: boolean;
  allow?: string[];
  deny?: string[];
  egressFile?: string[];
  label: string[];
  opt: string[];
  ipamDriver: string;
}

/** @param subnet what the subnets are */
function withSubnetOptions(command: Command, subnet: string): Command {
  return command
    .option('--subnet <cidr>', `${subnet}; may be repeated`, collect, [])
    .option('--gateway <address>', 'gateway of a subnet; may be repeated', collect, [])
    .option(
      '--ip-range <cidr>',
      'range of the subnet from which containers get addresses; may be repeated',
      collect,
      [],
    )
    .option('--aux-address <name=address>', 'address that is not assigned to containers; may be repeated', collect, [])
    .option('--force', 'use the subnet even if the host has a route to it');
}

function subnetFields({ subnet, gateway, ipRange, auxAddress, force = false }: SubnetOptions) {
  return { subnets: subnet, gateways: gateway, ipRanges: ipRange, auxAddresses: auxAddress, force };
}

export function makeCreateCommand({ stack }: NetDeps): Command {
  const command = new Command('create')
    .description('create a network')
    .argument('<name>')
    .option('-d, --driver <driver>', 'bridge or macvlan', 'bridge');
  return (
    withEgressOptions(withSubnetOptions(command, 'subnet, one per address family'), 'its containers')
      .option('--ipv6', 'enable IPv6, with a subnet that is selected if none is given')
      .option('--no-ipv6', 'no IPv6 unless --subnet has one (the default)')
      .option('--no-ipv4', 'only IPv6; the same as --ipv4=false')
      .option('--internal', 'no access to the outside')
      .option('--no-icc', 'isolate its containers from each other')
      .option('--label <label>', 'NAME=value; may be repeated', collect, [])
      .option(
        '-o, --opt <option>',
        'mtu=…, and for macvlan parent=… and mode=…, by these names or those of docker; may be repeated',
        collect,
        [],
      )
      // docker's, for networks of a swarm.
      .addOption(new Option('--attachable').hideHelp())
      .option('--ipam-driver <driver>', 'default, host-local, dhcp or static', 'default')
      .action(async (name: string, options: CreateOptions) => {
        const { options: driverOptions, icc } = parseNetworkOptions(options.opt);
        const client = await stack.connect();
        const report = await withFieldNames({ name: 'name of the network' }, () =>
          client.createNetwork({
            name,
            driver: options.driver,
            ...subnetFields(options),
            ipv4: options.ipv4,
            ipv6: options.ipv6 ?? false,
            internal: options.internal ?? false,
            icc: icc ?? options.icc,
            egress: egressOf(options),
            labels: Object.fromEntries(options.label.map(parseLabel)),
            options: driverOptions,
            ipamDriver: options.ipamDriver,
          }),
        );
        printLine(report.id);
      })
  );
}

export function makeUpdateCommand({ stack }: NetDeps): Command {
  const command = new Command('update')
    .description('move a network to another subnet while none of its containers is running')
    .argument('<network>');
  return withSubnetOptions(command, 'subnet that replaces the one of the same address family').action(
    async (name: string, options: SubnetOptions) => {
      if (options.subnet.length === 0) {
        throw new UsageError('network update requires --subnet', { hint: '--subnet 10.5.0.0/24' });
      }
      const report = await (await stack.connect()).updateNetwork(name, subnetFields(options));
      printLine(report.name);
    },
  );
}
