/** `overlay create`, `overlay join` and `overlay token`. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { UsageError } from '../../../../parent/errors.js';
import type { OverlayEtcdRequest, OverlayRequest } from '../../../../protocol/overlay/reports.js';
import { printErrorLine, printTrusted } from '../../../common/print.js';
import type { NetDeps } from '../../deps.js';
import { withFieldNames } from '../../options/request-fields.js';
import { collect } from '../../options/values.js';
import { overlayClient } from './client.js';

interface EtcdOptions {
  etcd?: string;
  etcdPrefix?: string;
  etcdCa?: string;
  etcdCert?: string;
  etcdKey?: string;
  etcdUser?: string;
  etcdPasswordFile?: string;
}

interface HostOptions extends EtcdOptions {
  address?: string;
  port?: string;
  hostName?: string;
}

interface CreateOptions extends HostOptions {
  static?: boolean;
  subnet: string[];
  internal?: boolean;
}

/** Options of `create` and `join` alike. */
function withHostOptions(command: Command): Command {
  return command
    .option('--address <address>', 'address at which other hosts reach this one (default: that of the route to etcd)')
    .option('--port <number>', 'UDP port of this host (default: the first free one from 51820 on)')
    .option('--host-name <name>', 'name of this host in reports (default: that of the machine)')
    .option('--etcd <urls>', 'endpoints of etcd, separated by commas')
    .option('--etcd-prefix <path>', 'prefix of its keys in etcd (default: /rootless-net/NAME)')
    .option('--etcd-ca <file>', 'CA certificate to verify etcd with')
    .option('--etcd-cert <file>', 'certificate of this client')
    .option('--etcd-key <file>', 'key of this client')
    .option('--etcd-user <name>', 'user of etcd')
    .option('--etcd-password-file <file>', 'file with the password of that user');
}

export function makeCreateCommand(deps: NetDeps): Command {
  const command = new Command('create')
    .description('create an overlay network, and print the token with which other hosts join')
    .argument('<name>')
    .option('--static', 'without etcd: hosts learn of each other by tokens that you exchange')
    .option('--subnet <cidr>', 'subnet that all hosts share (default: 10.50.0.0/16); repeat for IPv6', collect, [])
    .option('--internal', 'no access to the outside');
  return withHostOptions(command).action(async (name: string, options: CreateOptions) => {
    if (options.static && options.etcd !== undefined) {
      throw new UsageError('--static and --etcd are mutually exclusive');
    }
    if (!options.static && options.etcd === undefined) {
      throw new UsageError('overlay create needs --etcd or --static', {
        hint: 'for two or three hosts, etcd is not needed: --static',
      });
    }
    const request: OverlayRequest = {
      name,
      static: options.static ?? false,
      networks: options.subnet,
      internal: options.internal ?? false,
      ...hostFields(options),
    };
    const client = await overlayClient(deps);
    const { token } = await withNames(() => client.join(request));
    printTrusted(token);
  });
}

export function makeJoinCommand(deps: NetDeps): Command {
  const command = new Command('join')
    .description('join the overlay network of a token; for a static one, print the token for the other hosts')
    .argument('<token>', 'or - to read it from standard input');
  return withHostOptions(command).action(async (text: string, options: HostOptions) => {
    const token = text === '-' ? await readStandardInput() : text;
    const client = await overlayClient(deps);
    const joined = await withNames(() => client.join({ token, ...hostFields(options) }));
    printErrorLine(`${joined.name}: this host has ${joined.subnets.join(', ')}`);
    const [report] = (await client.list()).filter(({ name }) => name === joined.name);
    if (report?.mode === 'static') printTrusted(joined.token);
  });
}

export function makeTokenCommand(deps: NetDeps): Command {
  return new Command('token')
    .description('print the token with which other hosts join; it is a secret')
    .argument('<name>')
    .action(async (name: string) => {
      printTrusted(await (await overlayClient(deps)).token(name));
    });
}

/** Throws UsageError. */
function hostFields(options: HostOptions): Pick<OverlayRequest, 'address' | 'port' | 'hostName' | 'etcd'> {
  const { address, port, hostName } = options;
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    throw new UsageError(`invalid --port ${port}: expected a number from 1 to 65535`);
  }
  const etcd = etcdFields(options);
  return {
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(hostName === undefined ? {} : { hostName }),
    ...(Object.keys(etcd).length === 0 ? {} : { etcd }),
  };
}

/** Throws UsageError. */
function etcdFields(options: EtcdOptions): OverlayEtcdRequest {
  const { etcd, etcdPrefix, etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile } = options;
  if ((etcdCert === undefined) !== (etcdKey === undefined)) {
    throw new UsageError('--etcd-cert and --etcd-key require each other');
  }
  if (etcdUser !== undefined && etcdPasswordFile === undefined) {
    throw new UsageError('--etcd-user needs --etcd-password-file');
  }
  const path = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
  const fields = {
    endpoints: etcd?.split(',').map((url) => url.trim()),
    prefix: etcdPrefix,
    ca: path(etcdCa),
    cert: path(etcdCert),
    key: path(etcdKey),
    user: etcdUser,
    passwordFile: path(etcdPasswordFile),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function withNames<T>(task: () => Promise<T>): Promise<T> {
  return withFieldNames(
    {
      name: 'name of the network',
      networks: '--subnet',
      address: '--address',
      hostName: '--host-name',
      'etcd.endpoints': '--etcd',
      'etcd.endpoints.*': '--etcd',
      'etcd.prefix': '--etcd-prefix',
    },
    task,
  );
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8').trim();
}
