/** Step of the start: the egress policy. */
import type { EgressRule } from '../../protocol/egress/rule.js';
import type { EventBus } from '../api/event-bus.js';
import type { EngineHost } from '../engine/engine-host.js';
import { NetworkError } from '../errors.js';
import { RateLimitedLog } from '../log/rate-limited-log.js';
import type { Network } from '../network/driver.js';
import { localAddresses } from '../network/host/routes.js';
import { DenialLog, denialOf } from './denials.js';
import { Egress } from './egress.js';

/**
 * The policy is in effect when this returns. Undefined where the network has none. Throws NetworkError if one is required
 * all the same.
 */
export function startEgress(
  rules: readonly EgressRule[] | undefined,
  warn: (line: string) => void,
  { engineHost, events, network }: { engineHost: EngineHost; events: EventBus; network: Network },
): Egress | undefined {
  if (!network.egress) {
    if (!rules) return undefined;
    throw new NetworkError(
      `the network driver ${network.info?.driver ?? 'host'} cannot enforce a policy (--allow, --deny); hint: --net=builtin`,
    );
  }
  const egress = new Egress(network.egress, rules ?? [], {
    addresses: localAddresses,
    watch: (listener) => engineHost.watchAddresses(listener),
  });
  const limited = new RateLimitedLog(warn, 'the egress policy');
  const denials = new DenialLog((line) => limited.log(line));
  engineHost.onEgressDenied = (event) => {
    const denial = denialOf(event, egress.ruleText(event.rule));
    denials.log(denial);
    events.emit(denial);
  };
  return egress;
}
