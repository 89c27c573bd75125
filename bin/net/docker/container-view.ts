/** A container in the format of `docker inspect`. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { shortId } from '../../../protocol/containers/short-id.js';
import type { AttachmentReport, AttachmentRequest, ContainerReport } from '../../../protocol/containers/types.js';
import { type CNIPortMapping, cniSingles } from '../../../protocol/ports/cni-json.js';
import { Dictionary, type Struct, type Value, withHidden } from '../template/index.js';
import { imageOf, networkNames } from './container-row.js';
import { bindTexts, mountStructs, tmpfsOptions } from './mounts.js';
import { shownAddresses } from './ports.js';

/** docker's value for a time that has not come. */
const NEVER = '0001-01-01T00:00:00Z';
/** Size of /dev/shm, in bytes. */
const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;
/** Of a container whose exit was not observed. */
const UNKNOWN_EXIT_CODE = -1;

export function networkId(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

/**
 * The fields of docker's report that are known here, by their names in JSON and in Go. State.Error is the reason for an
 * unknown exit code.
 */
export function containerView(report: ContainerReport): Struct {
  const { id, name, created, request, directory = '' } = report;
  const [path = '', ...args] = request.command ?? [];
  const view = {
    Id: id,
    Created: created,
    Path: path,
    Args: args,
    State: stateOf(report),
    Image: imageOf(report),
    ResolvConfPath: join(directory, 'resolv.conf'),
    HostnamePath: join(directory, 'hostname'),
    HostsPath: join(directory, 'hosts'),
    LogPath: join(directory, 'container.log'),
    Name: `/${name}`,
    RestartCount: report.restartCount ?? 0,
    Driver: 'rootfs',
    GraphDriver: { Name: 'rootfs', Data: new Dictionary({ MergedDir: request.rootfs ?? '' }, '') },
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: hostConfigOf(report),
    Mounts: mountStructs(report),
    Config: configOf(report),
    NetworkSettings: networkSettingsOf(report),
    ...sharingOf(report),
    // Nor for this.
    ...(request.egress?.length > 0 && { Egress: request.egress }),
  };
  return withHidden(view, { ID: id });
}

/** The sharing of a network namespace, for which docker has no fields. */
function sharingOf({ sharedNetwork, sharedBy }: ContainerReport): Struct {
  return {
    ...(sharedNetwork && {
      SharedNetwork: {
        Container: sharedNetwork.container,
        Name: sharedNetwork.name ?? '',
        State: sharedNetwork.state,
      },
    }),
    ...(sharedBy && { SharedBy: sharedBy }),
  };
}

function stateOf({ status, pid, exitCode, reason, failure, started, finished }: ContainerReport): Struct {
  const state = {
    Status: status,
    // Both, as in docker.
    Running: status === 'running' || status === 'restarting',
    Paused: false,
    Restarting: status === 'restarting',
    OOMKilled: false,
    Dead: false,
    Pid: pid ?? 0,
    ExitCode: exitCode ?? (status === 'exited' || status === 'restarting' ? UNKNOWN_EXIT_CODE : 0),
    Error: failure ?? reason ?? '',
    StartedAt: started ?? NEVER,
    FinishedAt: finished ?? NEVER,
  };
  // Health checks are not supported.
  return withHidden(state, { Health: null });
}

function hostConfigOf(report: ContainerReport): Struct {
  const { request } = report;
  const [network = ''] = networkNames(report);
  const { mode } = request.network;
  const config = {
    Binds: bindTexts(report),
    Tmpfs: tmpfsOptions(report),
    NetworkMode: request.network.mode === 'container' ? `container:${request.network.container}` : network,
    PortBindings: portMap(request.publish ?? [], ({ hostIP, hostPort, hostPortEnd }) => [
      bindingOf(hostIP, hostPort === 0 ? '' : [hostPort, hostPortEnd].filter(Boolean).join('-')),
    ]),
    RestartPolicy: { Name: request.restart?.policy ?? 'no', MaximumRetryCount: request.restart?.maxRetries ?? 0 },
    CapAdd: request.capAdd?.length ? request.capAdd : null,
    CapDrop: request.capDrop?.length ? request.capDrop : null,
    GroupAdd: request.groupAdd?.length ? request.groupAdd : null,
    Sysctls: new Dictionary(request.sysctls ?? {}, ''),
    Ulimits: (request.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    ShmSize: request.shmSize ?? DEFAULT_SHM_SIZE,
    Init: request.init ?? false,
    AutoRemove: request.autoRemove ?? false,
    LogConfig: {
      Type: 'k8s-file',
      Config: new Dictionary(
        { 'max-size': String(request.log?.maxSize ?? ''), 'max-file': String(request.log?.maxFiles ?? '') },
        '',
      ),
    },
    Dns: request.dns ?? [],
    DnsOptions: request.dnsOptions ?? [],
    DnsSearch: request.dnsSearch ?? [],
    ExtraHosts: (request.addHosts ?? []).map(({ host, ip }) => `${host}:${ip}`),
    Privileged: false,
    PublishAllPorts: false,
    ReadonlyRootfs: request.readOnly ?? false,
    SecurityOpt: [
      ...(request.seccomp === undefined ? [] : [`seccomp=${request.seccomp}`]),
      ...(request.noNewPrivileges ? ['no-new-privileges'] : []),
    ],
    UTSMode: '',
    UsernsMode: '',
    PidMode: '',
    IpcMode: mode === 'container' ? '' : 'private',
    Runtime: request.runtime ?? '',
    PidsLimit: request.pidsLimit ?? null,
    // Limits are set for the cgroup of the stack.
    Memory: 0,
    NanoCpus: 0,
    CpuShares: 0,
  };
  const { Dns: DNS, DnsOptions: DNSOptions, DnsSearch: DNSSearch } = config;
  return withHidden(config, { DNS, DNSOptions, DNSSearch, NanoCPUs: 0, CPUShares: 0 });
}

function bindingOf(address: string, port: string): Struct {
  return withHidden({ HostIp: address, HostPort: port }, { HostIP: address });
}

function configOf(report: ContainerReport): Struct {
  const { request, hostname } = report;
  const exposed = cniSingles(request.publish ?? []).map(
    ({ containerPort, protocol }) => `${containerPort}/${protocol}`,
  );
  const config = {
    Hostname: hostname ?? '',
    Domainname: request.domainname ?? '',
    User: request.user ?? '',
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    ExposedPorts: new Dictionary(Object.fromEntries(exposed.map((port) => [port, {}]))),
    Tty: request.tty ?? false,
    OpenStdin: request.stdin ?? false,
    StdinOnce: false,
    Env: request.env ?? [],
    Cmd: request.command ?? null,
    Image: imageOf(report),
    Volumes: null,
    WorkingDir: request.cwd ?? '',
    Entrypoint: null,
    Labels: new Dictionary(request.labels ?? {}, ''),
    ...(request.stopSignal === undefined ? {} : { StopSignal: request.stopSignal }),
    ...(request.stopTimeout === undefined ? {} : { StopTimeout: request.stopTimeout }),
  };
  return withHidden(config, { StopSignal: '', StopTimeout: null, Healthcheck: null, OnBuild: null });
}

/** docker's IPAddress and so on at the top are those of the default network; here those of the first network otherwise. */
function networkSettingsOf(report: ContainerReport): Struct {
  const { id, pid, ports, attachments, request } = report;
  const requested = request.network.mode === 'networks' ? request.network.networks : [];
  // As in docker, a container that is not running has networks without addresses.
  const networks = requested.map((entry) => networkOf(report, entry));
  const { mode } = request.network;
  if (mode === 'host' || mode === 'none') networks.push(networkOf(report, { network: mode }));
  const first = attachments.find(({ network }) => network === 'bridge') ?? attachments[0];
  return {
    Bridge: '',
    SandboxID: pid === undefined ? '' : id,
    SandboxKey: pid === undefined ? '' : `/proc/${pid}/ns/net`,
    Ports: portMap(ports, ({ hostIP, hostPort }) =>
      shownAddresses(hostIP).map((address) => bindingOf(address, String(hostPort))),
    ),
    ...endpointOf(report, first),
    Networks: new Dictionary(Object.fromEntries(networks)),
  };
}

/** The name of the network, and its entry. */
function networkOf(report: ContainerReport, { network, aliases, ip, ip6 }: AttachmentRequest): [string, Struct] {
  const attachment = report.attachments.find((entry) => entry.network === network);
  return [
    network,
    {
      IPAMConfig: ip === undefined && ip6 === undefined ? null : { IPv4Address: ip ?? '', IPv6Address: ip6 ?? '' },
      Links: null,
      Aliases: aliases ?? null,
      NetworkID: networkId(network),
      EndpointID: attachment ? networkId(`${report.id} ${network}`) : '',
      ...endpointOf(report, attachment),
      DriverOpts: null,
      DNSNames: attachment ? [report.name, ...(aliases ?? []), shortId(report.id)] : null,
    },
  ];
}

function endpointOf({ results }: ContainerReport, attachment: AttachmentReport | undefined): Record<string, Value> {
  const ips = attachment?.ips ?? [];
  const v4 = ips.find((ip) => !ip.includes(':'));
  const v6 = ips.find((ip) => ip.includes(':'));
  const gateways = attachment ? gatewaysOf(results?.[attachment.network]) : [];
  const split = (ip: string | undefined): [string, number] => {
    const [address = '', prefix = '0'] = (ip ?? '').split('/');
    return [address, Number(prefix) || 0];
  };
  const [address, prefix] = split(v4);
  const [address6, prefix6] = split(v6);
  return {
    MacAddress: attachment?.mac ?? '',
    Gateway: gateways.find((gateway) => !gateway.includes(':')) ?? '',
    IPAddress: address,
    IPPrefixLen: prefix,
    IPv6Gateway: gateways.find((gateway) => gateway.includes(':')) ?? '',
    GlobalIPv6Address: address6,
    GlobalIPv6PrefixLen: prefix6,
  };
}

/** The gateways of a CNI result, which is untrusted and not validated. */
function gatewaysOf(result: unknown): string[] {
  const { ips } = (result ?? {}) as { ips?: unknown };
  if (!Array.isArray(ips)) return [];
  return ips.flatMap((entry: unknown) => {
    const { gateway } = (entry ?? {}) as { gateway?: unknown };
    return typeof gateway === 'string' ? [gateway] : [];
  });
}

/** Keyed by port of the container, such as 80/tcp. */
function portMap(ports: readonly CNIPortMapping[], bindings: (port: CNIPortMapping) => Struct[]): Dictionary {
  const byPort: Record<string, Struct[]> = {};
  for (const port of cniSingles(ports)) {
    const key = `${port.containerPort}/${port.protocol}`;
    byPort[key] = [...(byPort[key] ?? []), ...bindings(port)];
  }
  return new Dictionary(byPort, []);
}
