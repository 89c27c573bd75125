/** Reports what happens to containers and networks, for the stack's event stream. */
import type { ContainerEvent } from '../../protocol/api/types.js';
import { shortId } from '../../protocol/containers/short-id.js';
import type { Message } from '../../protocol/wire/messages.js';
import type { AttachmentStore } from './network/attachment-store.js';
import type { NetworkRegistry } from './network/registry.js';
import type { ContainerStore } from './storage/container-store.js';

export interface ObservedStores {
  store: ContainerStore;
  networks: NetworkRegistry;
  states: AttachmentStore;
}

export function reportEvents({ store, networks, states }: ObservedStores, send: (message: Message) => void): void {
  const report = (event: ContainerEvent) => send({ type: 'event', event });
  store.observer = {
    created: ({ id, name }) => report({ type: 'container-created', container: name, id }),
    removed: ({ id, name }) => report({ type: 'container-removed', container: name, id }),
    ran: ({ id, name }, { status, exitCode }, before) => {
      if (status === before?.status || status === 'starting') return;
      if (status === 'running') report({ type: 'container-started', container: name, id });
      // A start that failed has not run.
      else if (before?.status === 'running')
        report({ type: 'container-exited', container: name, id, ...(exitCode !== undefined && { exitCode }) });
    },
  };
  networks.onChange = (change, { id, name }) => report({ type: `network-${change}`, network: name, id });
  states.onChange = (id, now, before) => {
    const container = store.get(id)?.name ?? shortId(id);
    for (const network of now) {
      if (!before.includes(network)) report({ type: 'network-connected', network, container, id });
    }
    for (const network of before) {
      if (!now.includes(network)) report({ type: 'network-disconnected', network, container, id });
    }
  };
}
