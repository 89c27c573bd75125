/**
 * Answers what the agent requests of the host's side for containers. Requests are validated: the agent is not trusted with
 * more than the API gives every process in the namespaces, which is to publish ports.
 */
import type { NetworkDriverInfo } from '../../protocol/api/types.js';
import type { OverlayName } from '../../protocol/overlay/types.js';
import { cniMappingOf, mappingOf } from '../../protocol/ports/cni-json.js';
import type { AgentRequest, AgentRequests, AutoPortsRequest } from '../../protocol/wire/messages.js';
import type { PublishedNames } from '../../protocol/wire/published-names.js';
import type { QueryReport } from '../../protocol/wire/query-reports.js';
import type { ContainerPolicies } from '../egress/container-policies.js';
import type { RateLimits } from '../egress/rate-limit.js';
import { ContainersError, printable } from '../errors.js';
import type { HostReach } from '../network/host/gateway.js';
import { hostNetworks, stackNetworks } from '../network/host/networks.js';
import type { StackAutoPorts } from '../port/auto/stack-auto-ports.js';
import type { PortDriver } from '../port/driver.js';
import type { ActivatedSockets } from '../systemd/activated-sockets.js';
import { hostInfo } from './host-info.js';
import type { PortReservations } from './port-reservations.js';
import { endSurvivors } from './survivors.js';

type Answers = { [Name in AgentRequest]: (params: unknown) => Promise<AgentRequests[Name]['result']> };

/** What of the host containers need. */
export interface HostSide {
  ports: {
    driver: PortDriver | undefined;
    sockets?: ActivatedSockets | undefined;
    auto?: StackAutoPorts | undefined;
  };
  network: () => NetworkDriverInfo | undefined;
  hostReach: HostReach;
  /** Policies of containers, and whether the stack has one itself; undefined where the network has none. */
  policies: { containers: ContainerPolicies; limits: RateLimits; stack: { readonly active: boolean } } | undefined;
}

/** Gets what the agent reports. */
export interface ReportReceiver {
  /** The names of containers on an overlay network. */
  onOverlayNames: (network: string, names: OverlayName[]) => void;
  /** The names of containers on all networks, if that was configured (publishNames). */
  onNames: (names: PublishedNames) => void;
  /** Queries that the agent's DNS servers have answered, while they are wanted. */
  onQueries: (reports: readonly QueryReport[]) => void;
}

export class AgentRequestHandler {
  readonly #answers: Answers = {
    'host-info': async () =>
      hostInfo(this.deps.network(), this.deps.hostReach, this.deps.policies?.stack.active ?? false),
    'host-networks': async () => ({ networks: [...stackNetworks(this.deps.network()), ...hostNetworks()] }),
    'ports-reserve': async (given) => {
      const { owner, ranges } = (await schemas()).parseReservation(given);
      return { hostPorts: await this.deps.reservations.reserve(owner, ranges.map(mappingOf)) };
    },
    'ports-activate': async (given) => {
      const { owner, childIP } = (await schemas()).parseActivation(given);
      await this.deps.reservations.activate(owner, childIP);
      return {};
    },
    'ports-auto': async (given) => {
      await beginAutoPorts(this.deps.ports, (await schemas()).parseAutoPorts(given));
      return {};
    },
    'ports-opened': async (given) => {
      const { owner } = (await schemas()).parseOwner(given);
      const ports = this.deps.ports.driver?.list() ?? [];
      return { ports: ports.filter(({ auto, container }) => auto && container === owner).map(cniMappingOf) };
    },
    'ports-release': async (given) => {
      const { owner } = (await schemas()).parseOwner(given);
      await Promise.all([this.deps.reservations.release(owner), this.deps.ports.auto?.end(owner)]);
      return {};
    },
    'survivors-end': async (given) => {
      return { living: await endSurvivors((await schemas()).parseSurvivors(given).survivors) };
    },
    'published-names': async (given) => {
      this.deps.receiver.onNames((await schemas()).parsePublishedNames(given));
      return {};
    },
    'dns-queries': async (given) => {
      this.deps.receiver.onQueries((await schemas()).parseQueryReports(given).queries);
      return {};
    },
    'overlay-names': async (given) => {
      const { network, names } = (await schemas()).parseOverlayNames(given);
      this.deps.receiver.onOverlayNames(network, names);
      return {};
    },
    'ports-owners': async () => ({
      owners: [...new Set([...this.deps.reservations.owners(), ...((await this.deps.ports.auto?.containers()) ?? [])])],
    }),
    'egress-policy': async (given) => {
      const { key, rules } = (await schemas()).parsePolicy(given);
      this.#policies().containers.setPolicy(key, rules);
      return {};
    },
    'egress-set': async (given) => {
      const container = (await schemas()).parsePolicedContainer(given);
      const { containers, limits } = this.#policies();
      containers.set(container);
      limits.cover(this.deps.ports.driver?.list().filter((port) => port.container === container.id) ?? []);
      return {};
    },
    'egress-dropped': async (given) => {
      const { owner } = (await schemas()).parseOwner(given);
      return { dropped: this.deps.policies?.limits.droppedOf(owner) };
    },
    'egress-remove': async (given) => {
      this.deps.policies?.containers.remove((await schemas()).parseOwner(given).owner);
      return {};
    },
    'egress-ids': async () => ({ ids: this.deps.policies?.containers.ids() ?? [] }),
    'egress-report': async (given) => {
      const { id, key } = (await schemas()).parsePolicyOf(given);
      return { report: this.deps.policies?.containers.report(id, key) };
    },
  };

  constructor(private readonly deps: HostSide & { reservations: PortReservations; receiver: ReportReceiver }) {}

  /** The result of a request. Throws ContainersError, PortError and PortMappingError. */
  async handle(name: string, params: unknown): Promise<unknown> {
    if (!Object.hasOwn(this.#answers, name)) {
      throw new ContainersError(`unknown request of the agent: ${printable(name)}`);
    }
    return this.#answers[name as AgentRequest](params);
  }

  /** Throws ContainersError. */
  #policies(): NonNullable<HostSide['policies']> {
    const { policies, network } = this.deps;
    if (policies) return policies;
    throw new ContainersError(
      `the network driver ${network()?.driver ?? 'host'} cannot enforce egress policies; hint: start the stack with --net=builtin`,
    );
  }
}

/** Throws ContainersError, PortError and PortMappingError. */
async function beginAutoPorts({ auto, driver }: HostSide['ports'], request: AutoPortsRequest): Promise<void> {
  if (auto) return auto.watchContainer(request);
  throw new ContainersError(
    `the port driver ${driver?.info.driver ?? 'none'} cannot publish what listens in containers; hint: start the stack with --port-driver=builtin`,
  );
}

/** Loaded at the first container's request: zod takes long to load. */
const schemas = () => import('./request-schemas.js');
