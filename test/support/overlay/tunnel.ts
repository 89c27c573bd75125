// A WireGuard device in a stack (programs/wireguard-run.ts), for tests.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { generateKeys, type KeyPair } from '../../../protocol/wireguard/keys.js';
import type { WireGuardAnswer, WireGuardRequest } from '../../programs/wireguard-run.js';
import type { RunningStack } from '../stacks/stack.js';
import type { Started } from '../start.js';
import { tempDir } from '../temp-dir.js';

export const TUNNEL_PORT = 51820;

export interface Tunnel {
  readonly stack: RunningStack;
  readonly keys: KeyPair;
  readonly program: Started;
  /** Fails with the error of the answer. */
  ask(request: WireGuardRequest): Promise<WireGuardAnswer>;
}

/** Starts the program, without a device. */
export async function startTunnel(stack: RunningStack): Promise<Tunnel> {
  const socketPath = join(tempDir(), 's');
  const program = await stack.program('wireguard-run', socketPath);
  return {
    stack,
    keys: generateKeys(),
    program,
    async ask(request) {
      const answer = await askTunnel(socketPath, request);
      assert.equal(answer.error, undefined);
      return answer;
    },
  };
}

/** Has the program at that socket do something. */
export async function askTunnel(path: string, request: WireGuardRequest): Promise<WireGuardAnswer> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.end(JSON.stringify(request));
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
  return JSON.parse(text) as WireGuardAnswer;
}
