/**
 * Tokens, by which a network is handed from one host to another. A token is `rno1.` and base64url of JSON. It is a secret: it
 * has the preshared key, without which nobody gets into the network.
 */

import * as z from 'zod';
import { ExpectedError } from '../errors/expected-error.js';
import { etcdToken, staticToken } from './schemas.js';

const PREFIX = 'rno1.';
/** In characters; a token with a thousand members is smaller. */
const MAX_TOKEN = 512 * 1024;

export type StaticToken = z.infer<typeof staticToken>;
export type EtcdToken = z.infer<typeof etcdToken>;
export type OverlayToken = StaticToken | EtcdToken;

/** A text is not a token, or not a whole one. The token itself is not shown: it is a secret. */
export class OverlayTokenError extends ExpectedError {
  override name = 'OverlayTokenError';
  override readonly code = 'overlay-token';
  override readonly httpStatus = 400;
}

export function formatToken(token: OverlayToken): string {
  return `${PREFIX}${Buffer.from(JSON.stringify(token)).toString('base64url')}`;
}

/** Throws OverlayTokenError. */
export function parseToken(text: string): OverlayToken {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX) || trimmed.length > MAX_TOKEN) {
    const hint = 'a token begins with rno1. and is printed by rootless-net overlay create, join and token';
    throw new OverlayTokenError('this is not a token of an overlay network', { hint });
  }
  const { data, error } = z.union([staticToken, etcdToken]).safeParse(decode(trimmed.slice(PREFIX.length)));
  if (data) return data;
  const where = error.issues[0]?.path.map(String).join('.') ?? '';
  throw new OverlayTokenError(`the token is invalid${where === '' ? '' : ` (${where})`}`, { hint: 'copy all of it' });
}

/** Undefined for what is not JSON. */
function decode(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
