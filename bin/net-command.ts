/**
 * rootless-net: containers and their networks on a running stack. Results go to stdout, everything else to stderr; exit
 * code 0, or 1 after an `error: …` line; `run`, `start --attach` and `exec` end as the program does.
 */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { OCI_HOOK } from '../native/index.js';
import { APIError, StackUnreachableError } from '../parent/api/client.js';
import { ContainerClient, type NewContainer } from '../parent/api/container-client.js';
import { UsageError, UserError } from '../parent/errors.js';
import type { AttachmentRequest, ContainerNetwork, ContainerReport, ExtraHost } from '../protocol/containers.js';
import { type PublishSpec, PublishSpecError, parsePublish } from '../protocol/publish-spec.js';
import { VERSION } from '../protocol/version.js';
import { defaultStateDir, findStack } from './find-stack.js';
import { containerTable, networkTable, portLines, shortId } from './net-text.js';
import { ownSize, runStream } from './stream-terminal.js';

export const program = new Command('rootless-net')
  .description('Containers and their networks, without root.')
  .addOption(new Option('--state-dir <path>', 'state directory of the stack (default: $XDG_RUNTIME_DIR/rootless-net)'))
  .version(`rootless-net version ${VERSION}`, '-v, --version')
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({ outputError: () => {} });

/** The stack's containers; starts the stack if none runs. */
async function client(): Promise<ContainerClient> {
  const { stateDir } = program.opts<{ stateDir?: string }>();
  return new ContainerClient(await findStack(stateDir === undefined ? undefined : resolve(stateDir)));
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];

// --- containers

interface CreateOptions {
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
  env: string[];
  workdir?: string;
  user?: string;
  hostname?: string;
  domainname?: string;
  tty?: boolean;
  interactive?: boolean;
  readOnly?: boolean;
  volume: string[];
  dns: string[];
  dnsSearch: string[];
  dnsOption: string[];
  addHost: string[];
  label: string[];
  runtime: string;
  rm?: boolean;
}

function withCreateOptions(command: Command): Command {
  return command
    .argument('[command...]', 'program and arguments')
    .passThroughOptions()
    .option('--name <name>', 'name of the container')
    .option('--rootfs <dir>', 'directory of its root file system')
    .option('--bundle <dir>', 'directory of an OCI bundle')
    .option(
      '--net, --network <network>',
      'bridge, a network of yours, none, host, container:NAME, ns:PATH; may be repeated; NETWORK:ip=…,ip6=…,mac=…,alias=… for one of several',
      collect,
      [],
    )
    .option('--ip <address>', 'IPv4 address on the first network')
    .option('--ip6 <address>', 'IPv6 address on the first network')
    .option('--mac-address <address>', 'MAC address on the first network')
    .option('--network-alias <name>', 'further name on the first network; may be repeated', collect)
    .option(
      '-p, --publish <spec>',
      'publish a port: [ip:][hostPort:]containerPort[/proto]; may be repeated',
      collect,
      [],
    )
    .option('-P, --publish-all', 'publish all exposed ports on free ports of the host')
    .option('--expose <port>', 'port for --publish-all: containerPort[/proto]; may be repeated', collect, [])
    .option('-e, --env <variable>', 'NAME=value, or NAME to pass on; may be repeated', collect, [])
    .option('-w, --workdir <dir>', 'working directory inside')
    .option('-u, --user <user>', 'uid[:gid]')
    .option('-h, --hostname <name>', 'host name inside')
    .option('--domainname <name>', 'domain name inside')
    .option('-t, --tty', 'give it a terminal')
    .option('-i, --interactive', 'keep its standard input open')
    .option('--read-only', 'its root file system cannot be written')
    .option('-v, --volume <mount>', 'SOURCE:TARGET[:ro]; may be repeated', collect, [])
    .option('--dns <address>', 'resolver instead of those of the host; may be repeated', collect, [])
    .option('--dns-search <domain>', 'search domain; may be repeated', collect, [])
    .option('--dns-opt, --dns-option <option>', 'option of resolv.conf(5); may be repeated', collect, [])
    .option(
      '--add-host <host:ip>',
      'line of its hosts file; host-gateway stands for the host; may be repeated',
      collect,
      [],
    )
    .option('-l, --label <label>', 'NAME=value; may be repeated', collect, [])
    .option('--runtime <program>', 'OCI runtime', 'runc')
    .option('--rm', 'remove it when it ends')
    .helpOption('--help', 'show this text');
}

/** Throws UsageError and PublishSpecError. */
function toRequest(command: readonly string[], options: CreateOptions): NewContainer {
  const { rootfs, bundle } = options;
  if ((rootfs === undefined) === (bundle === undefined)) throw new UsageError('name either --rootfs or --bundle');
  const published = options.publish.flatMap(parsePublish);
  // As with Docker, what -p publishes is not published once more.
  const exposed = options.expose
    .flatMap(parseExposed)
    .filter(({ containerPort, protocol }) =>
      published.every((spec) => spec.containerPort !== containerPort || spec.protocol !== protocol),
    );
  const request: NewContainer = {
    ...(command.length > 0 ? { command: [...command] } : {}),
    name: options.name,
    network: parseNetwork(options),
    publish: options.publishAll ? [...published, ...exposed] : published,
    env: options.env.flatMap((text) => (text.includes('=') ? [text] : passOn(text))),
    cwd: options.workdir,
    user: options.user,
    hostname: options.hostname,
    domainname: options.domainname,
    tty: options.tty ?? false,
    stdin: options.interactive ?? false,
    readOnly: options.readOnly ?? false,
    mounts: options.volume.map(absoluteSource),
    dns: options.dns,
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOption,
    addHosts: options.addHost.map(parseHost),
    labels: Object.fromEntries(options.label.map(parseLabel)),
    runtime: options.runtime,
    autoRemove: options.rm ?? false,
  };
  return rootfs === undefined ? { ...request, bundle: resolve(bundle ?? '') } : { ...request, rootfs: resolve(rootfs) };
}

/** Throws UsageError. */
function parseNetwork(options: CreateOptions): ContainerNetwork {
  const { network, ip, ip6, macAddress, networkAlias } = options;
  const [first = ''] = network;
  const special = network.find((text) => /^(host|none|container:.*|ns:.*)$/.test(text));
  if (special !== undefined) {
    if (network.length > 1) throw new UsageError(`--network=${special} cannot go with other networks`);
    const unfit = Object.entries({
      '--ip': ip,
      '--ip6': ip6,
      '--mac-address': macAddress,
      '--network-alias': networkAlias,
    });
    const given = unfit.find(([, value]) => value !== undefined)?.[0];
    if (given !== undefined) throw new UsageError(`${given} cannot go with --network=${special}`);
    if (first === 'host' || first === 'none') return { mode: first };
    if (first.startsWith('ns:')) return { mode: 'ns', path: first.slice('ns:'.length) };
    return { mode: 'container', container: first.slice('container:'.length) };
  }
  const networks = network.map(parseAttachment);
  const own = { ip, ip6, mac: macAddress, aliases: networkAlias };
  if (Object.values(own).some((value) => value !== undefined)) {
    networks[0] = { ...own, ...definedOf(networks[0] ?? { network: 'bridge' }) };
  }
  return { mode: 'networks', networks };
}

/** `NETWORK[:key=value,…]`. Throws UsageError. */
function parseAttachment(text: string): AttachmentRequest {
  const colon = text.indexOf(':');
  if (colon < 0) return { network: text };
  const request: AttachmentRequest = { network: text.slice(0, colon) };
  for (const part of text.slice(colon + 1).split(',')) {
    const [key = '', ...rest] = part.split('=');
    const value = rest.join('=');
    if (key === 'ip' || key === 'ip6' || key === 'mac') request[key] = value;
    else if (key === 'alias') request.aliases = [...(request.aliases ?? []), value];
    else
      throw new UsageError(
        `unknown option ${JSON.stringify(key)} of --network=${text}; known are ip, ip6, mac and alias`,
      );
  }
  return request;
}

function definedOf(request: AttachmentRequest): AttachmentRequest {
  const entries = Object.entries(request).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as AttachmentRequest;
}

function passOn(name: string): string[] {
  const value = process.env[name];
  return value === undefined ? [] : [`${name}=${value}`];
}

/** Throws UsageError and PublishSpecError. */
function parseExposed(text: string): PublishSpec[] {
  if (text.includes(':'))
    throw new UsageError(
      `--expose ${text} is not of the form containerPort[-range][/proto]; use -p for ports of the host`,
    );
  return parsePublish(text);
}

function absoluteSource(text: string): string {
  const colon = text.indexOf(':');
  return colon < 0 ? text : `${resolve(text.slice(0, colon))}${text.slice(colon)}`;
}

/** Throws UsageError. */
function parseHost(text: string): ExtraHost {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError(`--add-host ${text} is not of the form HOST:ADDRESS`);
  return { host: text.slice(0, colon), ip: text.slice(colon + 1).replace(/^\[(.*)\]$/, '$1') };
}

/** Throws UsageError. */
function parseLabel(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals === 0 || text === '') throw new UsageError(`${JSON.stringify(text)} is no label; expected NAME=value`);
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

withCreateOptions(program.command('run'))
  .description('make a container and run it')
  .option('-d, --detach', 'let it run, and print its id')
  .action(async (command: string[], options: CreateOptions & { detach?: boolean }) => {
    const request = toRequest(command, options);
    const containers = await client();
    const { id } = await containers.create(request);
    if (options.detach) {
      try {
        announce(await containers.start(id));
      } catch (error) {
        await containers.remove(id, { force: true }).catch(() => {});
        throw error;
      }
      return print(id);
    }
    const stream = await containers.attach(id, { start: true, size: ownSize() });
    try {
      const { tty = false, interactive = false } = options;
      const kill = (signal: NodeJS.Signals) => containers.kill(id, signal);
      process.exitCode = await runStream(stream, { tty, stdin: interactive, kill });
    } catch (error) {
      // It could not be started, so nobody wants it.
      const report = await containers.inspect(id).catch(() => undefined);
      if (report?.started === undefined) await containers.remove(id, { force: true }).catch(() => {});
      throw error;
    }
  });

withCreateOptions(program.command('create'))
  .description('make a container, and print its id')
  .action(async (command: string[], options: CreateOptions) => {
    const request = toRequest(command, options);
    print((await (await client()).create(request)).id);
  });

program
  .command('start')
  .description('start containers')
  .argument('<container...>')
  .option('-a, --attach', 'show what it writes, and end as it does')
  .action(async (names: string[], { attach = false }: { attach?: boolean }) => {
    const containers = await client();
    if (!attach) {
      return each(names, async (name) => {
        announce(await containers.start(name));
        print(name);
      });
    }
    if (names.length > 1) throw new UsageError('only one container can be attached to');
    const report = await containers.inspect(names[0] ?? '');
    const { tty, stdin } = report.request;
    const kill = (signal: NodeJS.Signals) => containers.kill(report.id, signal);
    const stream = await containers.attach(report.id, { start: true, size: ownSize() });
    process.exitCode = await runStream(stream, { tty, stdin, kill });
  });

const timeout = () => new Option('-t, --time <seconds>', 'time until it is killed').argParser(parseSeconds);

program
  .command('stop')
  .description('end containers')
  .argument('<container...>')
  .addOption(timeout())
  .action(async (names: string[], { time }: { time?: number }) => {
    const containers = await client();
    await each(names, async (name) => {
      await containers.stop(name, time);
      print(name);
    });
  });

program
  .command('restart')
  .description('end containers and start them again')
  .argument('<container...>')
  .addOption(timeout())
  .action(async (names: string[], { time }: { time?: number }) => {
    const containers = await client();
    await each(names, async (name) => {
      announce(await containers.restart(name, time));
      print(name);
    });
  });

program
  .command('kill')
  .description('send a signal to containers')
  .argument('<container...>')
  .option('-s, --signal <signal>', 'name of the signal', 'KILL')
  .action(async (names: string[], { signal }: { signal: string }) => {
    const containers = await client();
    await each(names, async (name) => {
      await containers.kill(name, signal);
      print(name);
    });
  });

program
  .command('rm')
  .description('remove containers, and what they hold: names, addresses, ports')
  .argument('<container...>')
  .option('-f, --force', 'kill those that run')
  .action(async (names: string[], { force = false }: { force?: boolean }) => {
    const containers = await client();
    await each(names, async (name) => {
      await containers.remove(name, { force });
      print(name);
    });
  });

program
  .command('rename')
  .description('give a container another name')
  .argument('<container>')
  .argument('<name>')
  .action(async (name: string, to: string) => (await client()).rename(name, to));

program
  .command('ps')
  .description('list containers')
  .option('-a, --all', 'those that do not run as well')
  .option('-q, --quiet', 'only ids')
  .option('--json', 'one JSON object a line')
  .action(async ({ all = false, quiet = false, json = false }: { all?: boolean; quiet?: boolean; json?: boolean }) => {
    const list = (await (await client()).list()).filter(({ status }) => all || status === 'running');
    if (json) for (const report of list) print(JSON.stringify(report));
    else if (quiet) for (const { id } of list) print(shortId(id));
    else process.stdout.write(containerTable(list));
  });

program
  .command('inspect')
  .description('show all that is known of containers, as JSON')
  .argument('<container...>')
  .action(async (names: string[]) => {
    const containers = await client();
    const reports: ContainerReport[] = [];
    await each(names, async (name) => {
      reports.push(await containers.inspect(name));
    });
    print(JSON.stringify(reports, undefined, 4));
  });

program
  .command('port')
  .description('show the published ports of a container')
  .argument('<container>')
  .argument('[port]', 'containerPort[/proto]')
  .action(async (name: string, port?: string) => {
    const report = await (await client()).inspect(name);
    for (const line of portLines(report, port)) print(line);
  });

program
  .command('attach')
  .description('follow a running container, and pass standard input on')
  .argument('<container>')
  .action(async (name: string) => {
    const containers = await client();
    const report = await containers.inspect(name);
    if (report.status !== 'running') throw new UsageError(`the container ${report.name} is not running`);
    const { tty, stdin } = report.request;
    process.exitCode = await runStream(await containers.attach(report.id), { tty, stdin });
  });

program
  .command('logs')
  .description('show what a container has written')
  .argument('<container>')
  .option('-f, --follow', 'go on until it ends')
  .action(async (name: string, { follow = false }: { follow?: boolean }) => {
    const containers = await client();
    const stream = await containers.attach((await containers.inspect(name)).id, { logs: true, follow });
    await runStream(stream, { tty: false, stdin: false, signals: false });
  });

program
  .command('wait')
  .description('wait until containers have ended, and print their exit codes')
  .argument('<container...>')
  .action(async (names: string[]) => {
    const containers = await client();
    await each(names, async (name) => print(String((await containers.wait(name)) ?? 'unknown')));
  });

program
  .command('exec')
  .description('run a program in a running container')
  .argument('<container>')
  .argument('<command...>', 'program and arguments')
  .option('-e, --env <variable>', 'NAME=value; may be repeated', collect, [])
  .option('-w, --workdir <dir>', 'working directory inside')
  .option('-u, --user <user>', 'uid[:gid]')
  .option('-t, --tty', 'give it a terminal')
  .option('-i, --interactive', 'pass standard input on')
  .passThroughOptions()
  .action(async (name: string, command: string[], options: Partial<CreateOptions>) => {
    const { tty = false, interactive = false, env = [] } = options;
    const words = command[0] === '--' ? command.slice(1) : command;
    const request = {
      command: words,
      env,
      cwd: options.workdir,
      user: options.user,
      tty,
      stdin: interactive,
      size: ownSize(),
    };
    const stream = await (await client()).exec(name, request);
    process.exitCode = await runStream(stream, { tty, stdin: interactive });
  });

// --- networks

const network = program.command('network').description('networks of containers');

network
  .command('create')
  .description('make a network')
  .argument('<name>')
  .option('-d, --driver <driver>', 'bridge or macvlan', 'bridge')
  .option('--subnet <cidr>', 'subnet, one of each family; may be repeated', collect, [])
  .option('--gateway <address>', 'gateway of a subnet; may be repeated', collect, [])
  .option('--ip-range <cidr>', 'part of the subnet that containers get; may be repeated', collect, [])
  .option('--aux-address <name=address>', 'address that no container gets; may be repeated', collect, [])
  .option('--ipv6', 'IPv6 as well, with a subnet of our own if none is given')
  .option('--internal', 'no way out of it')
  .option('--no-icc', 'its containers cannot reach each other')
  .option('--label <label>', 'NAME=value; may be repeated', collect, [])
  .option('-o, --opt <option>', 'mtu=…, and for macvlan parent=… and mode=…; may be repeated', collect, [])
  .option('--ipam-driver <driver>', 'default, host-local, dhcp or static', 'default')
  .action(async (name: string, options: NetworkOptions) => {
    const report = await (await client()).createNetwork({
      name,
      driver: options.driver,
      subnets: options.subnet,
      gateways: options.gateway,
      ipRanges: options.ipRange,
      auxAddresses: options.auxAddress,
      ipv6: options.ipv6 ?? false,
      internal: options.internal ?? false,
      icc: options.icc,
      labels: Object.fromEntries(options.label.map(parseLabel)),
      options: Object.fromEntries(options.opt.map(parseLabel)),
      ipamDriver: options.ipamDriver,
    });
    print(report.id);
  });

interface NetworkOptions {
  driver: string;
  subnet: string[];
  gateway: string[];
  ipRange: string[];
  auxAddress: string[];
  ipv6?: boolean;
  internal?: boolean;
  icc: boolean;
  label: string[];
  opt: string[];
  ipamDriver: string;
}

network
  .command('ls')
  .description('list networks')
  .option('-q, --quiet', 'only names')
  .option('--filter <filter>', 'name=REGEXP or label=NAME[=value]; may be repeated', collect, [])
  .option('--json', 'one JSON object a line')
  .action(async ({ quiet = false, json = false, filter }: { quiet?: boolean; json?: boolean; filter: string[] }) => {
    const list = (await (await client()).networks()).filter((report) =>
      filter.every((text) => {
        const [key, value = '', ...rest] = text.split('=');
        if (key === 'name') return expression(text.slice('name='.length)).test(report.name);
        if (key === 'label')
          return value in report.labels && (rest.length === 0 || report.labels[value] === rest.join('='));
        throw new UsageError(`unknown filter ${JSON.stringify(text)}; use name=REGEXP or label=NAME[=value]`);
      }),
    );
    if (json) for (const report of list) print(JSON.stringify(report));
    else if (quiet) for (const { name } of list) print(name);
    else process.stdout.write(networkTable(list, filter.length === 0));
  });

network
  .command('inspect')
  .description('show all that is known of networks, as JSON')
  .argument('<network...>')
  .action(async (names: string[]) => {
    const containers = await client();
    const reports: unknown[] = [];
    await each(names, async (name) => {
      reports.push(await containers.inspectNetwork(name));
    });
    print(JSON.stringify(reports, undefined, 4));
  });

network
  .command('rm')
  .description('remove networks')
  .argument('<network...>')
  .action(async (names: string[]) => {
    const containers = await client();
    await each(names, async (name) => {
      await containers.removeNetwork(name);
      print(name);
    });
  });

network
  .command('prune')
  .description('remove the networks that no container refers to')
  .action(async () => {
    for (const name of await (await client()).pruneNetworks()) print(name);
  });

network
  .command('check')
  .description('compare networks with what the kernel has of them')
  .argument('<network...>')
  .action(async (names: string[]) => {
    const containers = await client();
    await each(names, async (name) => {
      const problems = await containers.checkNetwork(name);
      if (problems.length === 0) print(`${name}: ok`);
      for (const problem of problems) print(`${name}: ${problem}`);
      if (problems.length > 0) process.exitCode = 1;
    });
  });

network
  .command('connect')
  .description('put a container on one more network')
  .argument('<network>')
  .argument('<container>')
  .option('--ip <address>', 'IPv4 address there')
  .option('--ip6 <address>', 'IPv6 address there')
  .option('--mac-address <address>', 'MAC address there')
  .option('--alias <name>', 'further name there; may be repeated', collect)
  .action(
    async (
      name: string,
      container: string,
      options: { ip?: string; ip6?: string; macAddress?: string; alias?: string[] },
    ) => {
      const { ip, ip6, macAddress: mac, alias: aliases } = options;
      await (await client()).connect(name, container, { ip, ip6, mac, aliases });
    },
  );

network
  .command('disconnect')
  .description('take a container off a network')
  .argument('<network>')
  .argument('<container>')
  .action(async (name: string, container: string) => (await client()).disconnect(name, container));

// --- the rest

program
  .command('gc')
  .description('compare the journal, the kernel and the containers that run; show the differences')
  .option('--repair', 'take away what belongs to nobody')
  .action(async ({ repair = false }: { repair?: boolean }) => {
    const found = await (await client()).gc({ repair });
    for (const { kind, what, repaired } of found) print(`${kind}: ${what}${repaired ? ' (repaired)' : ''}`);
    if (found.length === 0) print('nothing is left over');
    else if (!repair) print('to take it away: rootless-net gc --repair');
    if (found.some(({ repaired }) => repair && !repaired)) process.exitCode = 1;
  });

program
  .command('oci-hook')
  .description(
    'for those who drive runc, crun or containerd themselves: createRuntime, poststop; or `config`, what to put into config.json',
  )
  .argument('<event>')
  .action(async (event: string) => {
    const { stateDir } = program.opts<{ stateDir?: string }>();
    const socket = stateDir === undefined ? [] : [resolve(stateDir, 'agent.sock')];
    if (event === 'config') {
      const agent = socket[0] ?? resolve(process.env.ROOTLESSKIT_STATE_DIR ?? defaultStateDir(), 'agent.sock');
      const hook = (name: string) => [{ path: OCI_HOOK, args: ['oci_hook', name, agent] }];
      print(
        JSON.stringify({ hooks: { createRuntime: hook('createRuntime'), poststop: hook('poststop') } }, undefined, 4),
      );
      return;
    }
    const { status } = spawnSync(OCI_HOOK, [event, ...socket], { stdio: 'inherit' });
    process.exitCode = status ?? 1;
  });

/** One after the other; all are tried, and the first failure is thrown at the end. */
async function each(names: readonly string[], task: (name: string) => Promise<void>): Promise<void> {
  let failure: unknown;
  for (const name of names) {
    try {
      await task(name);
    } catch (error) {
      if (failure !== undefined) reportError(error);
      else failure = error;
    }
  }
  if (failure !== undefined) throw failure;
}

/** Says which ports of the host were chosen. */
function announce({ ports, request }: ContainerReport): void {
  if (!request.publish.some(({ hostPort, hostPortEnd }) => hostPort === 0 || hostPortEnd !== undefined)) return;
  for (const { hostIP, hostPort, containerPort, protocol } of ports) {
    process.stderr.write(`published ${hostIP || '*'}:${hostPort} to ${containerPort}/${protocol}\n`);
  }
}

/** Throws UsageError. */
function expression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new UsageError(`${JSON.stringify(text)} is no regular expression`);
  }
}

function parseSeconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`${JSON.stringify(text)} is no number of seconds`);
  return Number(text);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Shows what went wrong in one line, and sets the exit code. */
export function reportError(error: unknown): void {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return;
    process.stderr.write(`${error.message.replaceAll('\n', ' ').replace(/^(?!error: )/, 'error: ')}\n`);
    process.exitCode = 1;
    return;
  }
  const known = [UserError, PublishSpecError, APIError, StackUnreachableError].some((type) => error instanceof type);
  const message = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`error: ${message}\n`);
  process.exitCode = 1;
}
