/** Step of the start: the egress policy, and rate limits. */
import type { EventBus } from '../api/event-bus.js';
import type { EngineHost } from '../engine/engine-host.js';
import { NetworkError } from '../errors.js';
import { RateLimitedLog } from '../log/rate-limited-log.js';
import type { Network } from '../network/driver.js';
import { localAddresses } from '../network/host/routes.js';
import type { StackOptions } from '../stack/options.js';
import type { UndoStack } from '../stack/undo.js';
import { ContainerPolicies } from './container-policies.js';
import { DenialLog, denialOf } from './denials.js';
import { Egress } from './egress.js';
import type { EgressHost } from './host.js';
import { Learning } from './learning.js';
import { RateLimits } from './rate-limit.js';

/** The stack's policy, those of containers, and rate limits. */
export interface StackEgress {
  readonly stack: Egress;
  readonly containers: ContainerPolicies;
  readonly limits: RateLimits;
}

/**
 * Policy and limit are in effect when this returns. Undefined where the network passes the engine by. Throws NetworkError if
 * one is required all the same.
 */
export function startEgress(
  { egress: rules, learn, limit }: Pick<StackOptions, 'egress' | 'learn' | 'limit'>,
  warn: (line: string) => void,
  {
    engineHost,
    events,
    network,
    undo,
  }: { engineHost: EngineHost; events: EventBus; network: Network; undo: UndoStack },
): StackEgress | undefined {
  if (!network.egress) {
    if (!rules && !learn && !limit) return undefined;
    throw new NetworkError(
      `the network driver ${network.info?.driver ?? 'host'} cannot enforce a policy (--allow, --deny) or a rate limit (--limit), nor --learn a policy; hint: --net=builtin`,
    );
  }
  const host: EgressHost = {
    addresses: localAddresses,
    watch: (listener) => engineHost.watchAddresses(listener),
  };
  const learning = learn && new Learning(network.egress, learn, host, warn);
  if (learning) undo.push('write what was learned', () => learning.close());
  const stack = new Egress(network.egress, rules ?? [], host, learning);
  const limits = new RateLimits(engineHost.engine);
  if (limit) limits.set(limit);
  const containers = new ContainerPolicies(network.egress.sources, host, limits);
  const limited = new RateLimitedLog(warn, 'the egress policy');
  const denials = new DenialLog((line) => limited.log(line));
  engineHost.onEgressDenied = (event) => {
    const { policy, rule, client } = event;
    const text = policy === 0 ? stack.ruleText(rule) : containers.ruleText(client, policy - 1, rule);
    const denial = denialOf(event, text, containers.nameOf(client));
    denials.log(denial);
    events.emit(denial);
  };
  return { stack, containers, limits };
}
