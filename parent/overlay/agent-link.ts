/** The agent's part of overlay networks, by its own socket; what it answers comes from inside, and is validated. */
import * as z from 'zod';
import { overlayFailures, peerStatus } from '../../protocol/overlay/schemas.js';
import type { OverlayFailure, OverlayPeerStatus, OverlayState } from '../../protocol/overlay/types.js';
import { StackClient } from '../client/stack-client.js';

/** For one request, in ms: setting up a device and its helper included. */
const APPLY_MS = 30_000;
const STATUS_MS = 3_000;

export interface OverlayAgent {
  /** Replaces what it knows of all networks; resolves with those that it cannot set up. Throws APIError and StackUnreachableError. */
  apply(states: readonly OverlayState[]): Promise<OverlayFailure[]>;
  /** Empty where the agent does not answer. */
  status(network: string): Promise<OverlayPeerStatus[]>;
  /** Removes a network that no container is on. Throws APIError (409 where there are some) and StackUnreachableError. */
  remove(network: string): Promise<void>;
}

export function overlayAgent(socketPath: () => string): OverlayAgent {
  const call = (method: string, path: string, body?: unknown, ms = APPLY_MS) =>
    new StackClient(socketPath()).call(method, path, body, ms);
  const pathOf = (network: string) => `/v1/overlays/${encodeURIComponent(network)}`;
  return {
    apply: async (states) => overlayFailures.safeParse(await call('PUT', '/v1/overlays', states)).data ?? [],
    status: async (network) => {
      const answer = await call('GET', pathOf(network), undefined, STATUS_MS).catch(() => []);
      return z.array(peerStatus).max(4096).safeParse(answer).data ?? [];
    },
    remove: async (network) => {
      await call('DELETE', pathOf(network));
    },
  };
}
