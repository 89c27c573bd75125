/** Shows and changes the egress policies of containers and networks, and rate limits of containers; changes hold at once for what runs. */
import type { ContainerEgressReport, EgressReport } from '../../../protocol/api/egress.js';
import type { LimitReport } from '../../../protocol/api/limit.js';
import { changedRules, policyOfContainer, policyOfNetwork } from '../../../protocol/egress/container-policy.js';
import { formatRateLimit, UNLIMITED } from '../../../protocol/egress/rate-limit.js';
import { egressReport } from '../../../protocol/egress/report.js';
import { ConflictError } from '../errors.js';
import { rulesOf } from '../network/egress/policies.js';
import type { Network } from '../network/network.js';
import type { NetworkAdminDeps } from './deps.js';

export type RuleChange = 'add' | 'remove';

/** A container's own policy and those of its networks. Throws ContainerError. */
export async function containerEgress(deps: NetworkAdminDeps, name: string): Promise<ContainerEgressReport> {
  const { containers, networks } = deps;
  const { id, request } = containers.store.find(name);
  const own = await reportOf(deps, id, policyOfContainer(id), request.egress);
  const report: ContainerEgressReport = { ...own, networks: {} };
  if (request.network.mode !== 'networks') return report;
  for (const { network } of await networks.resolve(request.network.networks)) {
    if (network.egress.length === 0) continue;
    report.networks[network.name] = await reportOf(deps, id, policyOfNetwork(network.name), network.egress);
  }
  return report;
}

/** Throws ContainerError, ContainerPolicyError, EgressRuleError; nothing is changed then. */
export async function changeContainerEgress(
  deps: NetworkAdminDeps,
  name: string,
  change: RuleChange,
  lines: readonly string[],
): Promise<ContainerEgressReport> {
  await deps.containers.changeEgress(name, ({ egress }) => ({ egress: changedRules(egress, change, lines) }));
  return containerEgress(deps, name);
}

/** A container's own limit, and what it has cost since it runs. Throws ContainerError. */
export async function containerLimit({ containers, policies }: NetworkAdminDeps, name: string): Promise<LimitReport> {
  const { id, request } = containers.store.find(name);
  const limit = request.limit ?? formatRateLimit(UNLIMITED);
  return { limit, dropped: (await policies.dropped(id)) ?? { outgoing: 0, incoming: 0 } };
}

/** @param limit as --limit takes it. Throws ContainerError; nothing is changed then. */
export async function changeContainerLimit(deps: NetworkAdminDeps, name: string, limit: string): Promise<LimitReport> {
  await deps.containers.changeEgress(name, () => ({
    limit: limit === formatRateLimit(UNLIMITED) ? undefined : limit,
  }));
  return containerLimit(deps, name);
}

/** A network's policy; what it has decided is counted for each container. */
export function networkEgress(network: Network): EgressReport {
  return egressReport(rulesOf(network.egress), []);
}

/** Throws ContainerError, ContainerPolicyError, EgressRuleError; nothing is changed then. */
export async function changeNetworkEgress(
  { containers, networks, policies }: NetworkAdminDeps,
  network: Network,
  change: RuleChange,
  lines: readonly string[],
): Promise<EgressReport> {
  if (!network.bridge) {
    throw new ConflictError(
      `the network ${network.name} cannot have an egress policy: its driver ${network.driver} cannot enforce it`,
    );
  }
  const next = await networks.setEgress(network, (rules) => changedRules(rules, change, lines));
  await policies.setNetwork(next.name, next.egress);
  for (const { id } of containers.store.all()) await containers.restorePolicies(id);
  return networkEgress(next);
}

async function reportOf(
  { policies }: NetworkAdminDeps,
  id: string,
  key: string,
  rules: readonly string[],
): Promise<EgressReport> {
  return (await policies.report(id, key)) ?? egressReport(rulesOf(rules), []);
}
