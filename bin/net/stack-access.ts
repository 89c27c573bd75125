/** How the commands of rootless-net reach the containers of a stack. */

import type { ContainerClient } from '../../parent/client/container-client.js';
import { type APIError, isMissing } from '../../parent/client/errors.js';
import type { OfflineContainers } from '../../parent/client/offline-containers.js';

/** Each method throws what findOrStartStack() throws. */
export interface StackAccess {
  /** Starts the stack if none is running. */
  connect(): Promise<ContainerClient>;
  /** For commands that only read: if no stack is running, the files on disk are read. */
  connectForReading(): Promise<ContainerClient | OfflineContainers>;
  /** Like connect(), but throws APIError instead of starting a stack if there is nothing with one of these names. */
  connectForExisting(kind: 'container' | 'network', names: readonly string[]): Promise<ContainerClient>;
  /** Path of api.sock of the running stack; undefined if none is running. */
  runningSocket(): Promise<string | undefined>;
}

export interface StackAccessDeps {
  /** Path of api.sock of the running stack; undefined if none is running. */
  findRunning(): Promise<string | undefined>;
  /** The same; starts the stack if none is running. */
  findOrStart(): Promise<string>;
  makeClient(socket: string): ContainerClient;
  openOffline(): OfflineContainers;
}

export function makeStackAccess({ findRunning, findOrStart, makeClient, openOffline }: StackAccessDeps): StackAccess {
  const running = async () => {
    const socket = await findRunning();
    return socket === undefined ? undefined : makeClient(socket);
  };
  const connect = async () => makeClient(await findOrStart());
  return {
    connect,
    connectForReading: async () => (await running()) ?? openOffline(),
    connectForExisting: async (kind, names) => {
      const client = await running();
      if (client) return client;
      await checkAny(openOffline(), kind, names);
      return connect();
    },
    runningSocket: findRunning,
  };
}

/** Throws the APIError of the first name, as the stack would, if none of them exists. */
async function checkAny(
  offline: OfflineContainers,
  kind: 'container' | 'network',
  names: readonly string[],
): Promise<void> {
  let missing: APIError | undefined;
  for (const name of names) {
    try {
      await (kind === 'container' ? offline.inspect(name) : offline.inspectNetwork(name));
      return;
    } catch (error) {
      if (!isMissing(error)) throw error;
      missing ??= error;
    }
  }
  if (missing) throw missing;
}
