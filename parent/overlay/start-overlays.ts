/** The overlay networks of a stack: loaded when there are some, or when the API is asked for them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerService } from '../containers/service.js';
import type { Egress } from '../egress/egress.js';
import type { StartContext } from '../stack/options.js';
import type { StackPorts } from '../stack/ports.js';
import type { Overlays } from './overlays.js';

export interface StackOverlaysDeps {
  containers: ContainerService;
  ports: StackPorts;
  /** Of the stack; absent where its network can have no policy. */
  egress: Egress | undefined;
}

/** Resolves with them when they are loaded. To be called before an agent serves containers. */
export function startOverlays({ log, undo }: StartContext, deps: StackOverlaysDeps): () => Promise<Overlays> {
  const { containers, ports, egress } = deps;
  const root = join(containers.dataDir, 'overlay');
  let loaded: Promise<Overlays> | undefined;
  const load = () => {
    loaded ??= makeOverlays();
    return loaded;
  };
  const makeOverlays = async () => {
    const [{ Overlays }, { overlayAgent }, { PublishedOverlayPorts }] = await Promise.all([
      import('./overlays.js'),
      import('./agent-link.js'),
      import('./ports.js'),
    ]);
    const overlays = new Overlays({
      root,
      agent: overlayAgent(() => containers.socketPath),
      ports: new PublishedOverlayPorts(ports.driver),
      allowPeers: (peers) => egress?.allowPeers(peers),
      ready: () => containers.ready(),
      warn: (line) => log.warn(line),
    });
    containers.onOverlayNames = (network, names) => overlays.setNames(network, names);
    undo.push('close the overlay networks', () => overlays.close());
    return overlays;
  };
  containers.onReady.push(() => {
    if (!loaded && !existsSync(root)) return;
    load().then(
      (overlays) => overlays.agentReady(),
      (error: unknown) => log.warn(`overlay networks cannot be used: ${String(error)}`),
    );
  });
  return load;
}
