// A candidate that forwards to the load server, with as many descriptors as a row needs.
import type { Environment } from '../model.js';
import { loadReady, loadServer } from '../programs/load.js';
import { limitFiles } from './holder.js';
import { type Running, startCandidate } from './start-candidate.js';
import { tryLoadServer } from './try-out.js';

export interface LoadCandidate {
  name: string;
  port: number;
  /** Further ports to publish. */
  morePorts?: readonly number[];
  /** The limit of descriptors. */
  files: number;
}

export function startLoadCandidate({ files, ...candidate }: LoadCandidate, where: Environment): Promise<Running> {
  return startCandidate(
    {
      ...candidate,
      server: (serverPort) => loadServer(where.root, serverPort),
      ready: loadReady,
      prefix: limitFiles(files),
      tryOut: (address, to) => tryLoadServer({ address, port: to }, where),
    },
    where,
  );
}
