/** The options of `run` and `create`, and the request that they result in. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { NewContainer } from '../../../parent/client/container-client.js';
import { UsageError } from '../../../parent/errors.js';
import { DEFAULT_LOG, LOG_DRIVER, parseLogOptions } from '../../../protocol/containers/log-options.js';
import type { ExtraHost } from '../../../protocol/containers/types.js';
import { formatRateLimit, parseRateLimit } from '../../../protocol/egress/rate-limit.js';
import { isAutoPublish, parseAutoPublish } from '../../../protocol/ports/auto.js';
import { cniMappingOf } from '../../../protocol/ports/cni-json.js';
import { PortMappingError, parsePublish } from '../../../protocol/ports/grammar.js';
import { joined, type PortMapping, singles } from '../../../protocol/ports/port-mapping.js';
import { egressOf, withEgressOptions } from './egress-options.js';
import { IMAGES, withForeignOptions } from './foreign-options.js';
import { parseNetworks } from './network-option.js';
import { commandOf, type ProgramOptions, programRequest, withProgramOptions } from './program-options.js';
import { collect } from './values.js';

export interface CreateOptions extends ProgramOptions {
  name?: string;
  rootfs?: string;
  bundle?: string;
  network: string[];
  ip?: string;
  ip6?: string;
  macAddress?: string;
  networkAlias?: string[];
  publish: string[];
  publishAll?: boolean;
  expose: string[];
  workdir?: string;
  user?: string;
  hostname?: string;
  domainname?: string;
  tty?: boolean;
  interactive?: boolean;
  readOnly?: boolean;
  dns: string[];
  dnsSearch: string[];
  dnsOption: string[];
  addHost: string[];
  runtime?: string;
  rm?: boolean;
  logDriver: string;
  logOpt: string[];
  securityOpt: string[];
  allow?: string[];
  deny?: string[];
  egressFile?: string[];
  limit?: string;
  pidsLimit?: string;
  cidfile?: string;
}

export function withCreateOptions(command: Command): Command {
  command
    .argument('[command...]', 'program and arguments')
    .passThroughOptions()
    .option('--name <name>', 'name of the container')
    .option('--rootfs <dir>', 'directory of its root file system')
    .option('--bundle <dir>', 'directory of an OCI bundle')
    .option(
      '--net, --network <network>',
      'bridge, the name of a network, none, host, container:NAME or ns:PATH; may be repeated; with options: name=NETWORK,ip=…,ip6=…,mac-address=…,alias=…,gw-priority=…, or NETWORK:ip=…',
      collect,
      [],
    )
    .option('--ip <address>', 'IPv4 address on the first network')
    .option('--ip6 <address>', 'IPv6 address on the first network')
    .option('--mac-address <address>', 'MAC address on the first network')
    .option('--network-alias <name>', 'additional name on the first network; may be repeated', collect)
    .option(
      '-p, --publish <spec>',
      'publish a port: [ip:][hostPort:]containerPort[/proto], or published=…,target=…; auto for whatever programs listen on; may be repeated',
      collect,
      [],
    )
    .option('-P, --publish-all', 'publish all exposed ports on free ports of the host')
    .option('--expose <port>', 'port for --publish-all: containerPort[/proto]; may be repeated', collect, [])
    .option('-w, --workdir <dir>', 'working directory in the container')
    .option('-u, --user <user>', "USER[:GROUP], as names in the container's /etc/passwd and /etc/group, or as numbers")
    .option('-h, --hostname <name>', 'host name of the container')
    .option('--domainname <name>', 'domain name of the container')
    .option('-t, --tty', 'allocate a terminal')
    .option('-i, --interactive', 'keep standard input open')
    .option('--read-only', 'mount the root file system read-only')
    .option('--dns <address>', 'DNS server instead of those of the host; may be repeated', collect, [])
    .option('--dns-search <domain>', 'DNS search domain; may be repeated', collect, [])
    .option('--dns-opt, --dns-option <option>', 'option of resolv.conf(5); may be repeated', collect, [])
    .option(
      '--add-host <host:ip>',
      'entry of /etc/hosts; host-gateway is the address of the host; may be repeated',
      collect,
      [],
    )
    .option('--runtime <program>', 'OCI runtime (default: runc, or crun where runc is not installed)')
    .option('--rm', 'remove the container when it exits')
    .option('--log-driver <driver>', `log driver: only ${LOG_DRIVER} is supported`, LOG_DRIVER)
    .option(
      '--log-opt <option>',
      `max-size=SIZE of a log file (k, m, g), max-file=COUNT of log files; may be repeated (default: ${DEFAULT_LOG.maxSize} bytes, ${DEFAULT_LOG.maxFiles} files)`,
      collect,
      [],
    )
    .option(
      '--security-opt <option>',
      'seccomp=FILE (profile), seccomp=unconfined, or no-new-privileges; may be repeated',
      collect,
      [],
    )
    .option('--pids-limit <count>', 'limit of processes and threads, -1 for no limit (default: 2048)')
    .option(
      '--limit <rate>',
      'limit what leaves it, and what comes in, in bytes a second: RATE or OUT:IN, such as 10M, 800kbit:unlimited',
    )
    .option('--cidfile <file>', 'file to create with the ID of the container')
    .helpOption('--help', 'display help for command');
  return withForeignOptions(withProgramOptions(withEgressOptions(command, 'it')));
}

/** Throws UsageError, PortMappingError and LogOptionError. */
export function toRequest(command: readonly string[], options: CreateOptions): NewContainer {
  const { rootfs, bundle } = options;
  if ((rootfs === undefined) === (bundle === undefined)) {
    // A command line of docker has an image here.
    const hint = rootfs === undefined && command.length > 0 ? IMAGES : undefined;
    throw new UsageError('specify one of --rootfs, --bundle', { hint });
  }
  const published = options.publish.filter((text) => !isAutoPublish(text)).map(parsePublish);
  const autoPublish = options.publish.filter(isAutoPublish);
  for (const text of autoPublish) parseAutoPublish(text);
  // As with docker, a port that -p publishes is not published twice.
  const exposed = joined(
    [...singles(options.expose.map(parseExposed))].filter((one) => !published.some((range) => leadsTo(range, one))),
  );
  const request: NewContainer = {
    ...programRequest(options),
    command: commandOf(command, options),
    name: options.name,
    network: parseNetworks(options.network, options),
    publish: (options.publishAll ? [...published, ...exposed] : published).map(cniMappingOf),
    autoPublish,
    cwd: options.workdir,
    user: options.user,
    hostname: options.hostname,
    domainname: options.domainname,
    tty: options.tty ?? false,
    stdin: options.interactive ?? false,
    readOnly: options.readOnly ?? false,
    egress: egressOf(options),
    ...(options.limit !== undefined && { limit: formatRateLimit(parseRateLimit(options.limit, '--limit')) }),
    dns: options.dns,
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOption,
    addHosts: options.addHost.map(parseHost),
    runtime: options.runtime,
    autoRemove: options.rm ?? false,
    log: parseLogOptions(options.logDriver, options.logOpt),
    ...parseSecurityOptions(options.securityOpt),
    pidsLimit: options.pidsLimit === undefined ? undefined : parsePidsLimit(options.pidsLimit),
  };
  return rootfs === undefined ? { ...request, bundle: resolve(bundle ?? '') } : { ...request, rootfs: resolve(rootfs) };
}

/** Whether the port of the container is among those of the range. */
function leadsTo({ count, target, transport }: PortMapping, one: PortMapping): boolean {
  const offset = one.target.port - target.port;
  return transport === one.transport && offset >= 0 && offset < count;
}

/** Throws UsageError. */
function parseExposed(text: string): PortMapping {
  if (text.includes(':'))
    throw new UsageError(`invalid --expose ${JSON.stringify(text)}: expected containerPort[-range][/proto]`, {
      hint: 'use -p for ports of the host',
    });
  try {
    return parsePublish(text);
  } catch (error) {
    if (!(error instanceof PortMappingError)) throw error;
    throw new UsageError(
      `invalid --expose ${JSON.stringify(text)}: ${error.problem}; expected containerPort[-range][/proto], such as 80/tcp`,
    );
  }
}

/** HOST:ADDRESS or HOST=ADDRESS; an IPv6 address may be in brackets. Throws UsageError. */
function parseHost(text: string): ExtraHost {
  const separator = /=/.exec(text)?.index ?? text.indexOf(':');
  const host = text.slice(0, Math.max(separator, 0)).trim();
  const ip = text
    .slice(separator + 1)
    .trim()
    .replace(/^\[(.*)\]$/, '$1');
  if (host === '' || ip === '') {
    throw new UsageError(`invalid --add-host ${JSON.stringify(text)}: expected HOST:ADDRESS or HOST=ADDRESS`);
  }
  if (ip !== 'host-gateway' && isIP(ip) === 0) {
    throw new UsageError(
      `invalid --add-host ${JSON.stringify(text)}: ${JSON.stringify(ip)} is not an IP address or host-gateway`,
    );
  }
  return { host, ip };
}

/** docker's syntax; the last one of each name wins. Throws UsageError. */
function parseSecurityOptions(texts: readonly string[]): Pick<NewContainer, 'seccomp' | 'noNewPrivileges'> {
  const options: Pick<NewContainer, 'seccomp' | 'noNewPrivileges'> = {};
  for (const text of texts) {
    const [, name, value] = /^([^=:]*)[=:]?(.*)$/s.exec(text) ?? [];
    if (name === 'seccomp' && value) options.seccomp = value === 'unconfined' ? value : resolve(value);
    else if (name === 'no-new-privileges' && /^(true|false)?$/.test(value ?? ''))
      options.noNewPrivileges = value !== 'false';
    // Neither is used here, so these values have no effect.
    else if (!/^(label[=:]disable|apparmor[=:]unconfined)$/.test(text)) {
      throw new UsageError(
        `invalid --security-opt ${JSON.stringify(text)}: expected seccomp=FILE, seccomp=unconfined or no-new-privileges`,
      );
    }
  }
  return options;
}

/** As with docker, 0 also means no limit. Throws UsageError. */
function parsePidsLimit(text: string): number {
  if (!/^(-1|\d{1,9})$/.test(text)) {
    throw new UsageError(
      `invalid --pids-limit ${JSON.stringify(text)}: expected a number of processes, or -1 for no limit`,
    );
  }
  return Number(text) || -1;
}
