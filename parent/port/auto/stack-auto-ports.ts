/** Ports that are published while something listens inside, of the stack and its containers; loaded when the first are wanted. */
import type { Subnet } from '../../../protocol/net/cidr.js';
import { type AutoPublish, parseAutoPublish } from '../../../protocol/ports/auto.js';
import type { AutoPortsRequest } from '../../../protocol/wire/messages.js';
import type { AgentSupervisor } from '../../agent/agent.js';
import { printable } from '../../errors.js';
import type { PortDriver } from '../driver.js';
import { AUTO_ADDRESSES, parseAutoAddresses } from './addresses.js';
import type { AutoPublisher } from './auto-publisher.js';
import type { AutoSourceDeps } from './auto-source.js';

/** For the names of programs, in ms of work. */
const PATIENCE_MS = 50;

export interface StackAutoPortsDeps {
  agent: AgentSupervisor;
  driver: PortDriver;
  log: AutoSourceDeps['log'];
  /** Addresses of loopback for them; 127.0.0.0/8 where absent. */
  addresses: Subnet | undefined;
  /** What the stack's own address follows from. */
  name: string;
  /** Pid of the launcher. */
  root: number;
  /** Path of the stack's network namespace where that is detached. */
  netns: string | undefined;
}

export class StackAutoPorts {
  #publisher: Promise<AutoPublisher> | undefined;

  constructor(private readonly deps: StackAutoPortsDeps) {}

  /** Made at the first call. */
  publisher(): Promise<AutoPublisher> {
    this.#publisher ??= this.#makePublisher();
    return this.#publisher;
  }

  /** Publishes what listens in the stack's own namespace from now on. Throws PortError and AgentError. */
  async watchStack(rules: readonly AutoPublish[]): Promise<void> {
    const { agent, name } = this.deps;
    const publisher = await this.publisher();
    await publisher.begin('', { rules, name: `stack ${name}` });
    const request = () =>
      agent.send({ type: 'watch-listeners', rules: rules.map(({ transport, ports }) => ({ transport, ports })) });
    agent.onState.push((state) => {
      if (state === 'ready') request();
    });
    if (agent.state === 'ready') request();
    else await agent.start();
  }

  /** Publishes what is reported of a container from now on. Throws PortError and PortMappingError. */
  async watchContainer({ owner, name, childIP, rules }: AutoPortsRequest): Promise<void> {
    const publisher = await this.publisher();
    const container = { id: owner, name: printable(name), ip: childIP };
    await publisher.begin(owner, { rules: rules.map(parseAutoPublish), name: `container ${name}`, container });
  }

  /** Resolves when a container's ports are closed; at once if it has none. */
  async end(container: string): Promise<void> {
    await (await this.#publisher)?.end(container);
  }

  /** Ids of the containers that are watched. */
  async containers(): Promise<string[]> {
    return (await this.#publisher)?.owners().filter((owner) => owner !== '') ?? [];
  }

  async close(): Promise<void> {
    await (await this.#publisher)?.close();
  }

  async #makePublisher(): Promise<AutoPublisher> {
    const [{ AutoPublisher }, { programNames }] = await Promise.all([
      import('./auto-publisher.js'),
      import('../../flows/programs.js'),
    ]);
    const { addresses, agent, driver, log, root, netns } = this.deps;
    const publisher = new AutoPublisher({
      driver,
      log,
      addresses: addresses ?? parseAutoAddresses(AUTO_ADDRESSES),
      programs: (inodes) => programNames(inodes, { root, netns, patience: PATIENCE_MS }),
    });
    agent.onListeners = ({ container, listeners }) => publisher.update(container, listeners);
    return publisher;
  }
}
