/** Keys of WireGuard: 32 bytes of Curve25519, or of a pre-shared secret, written in base64 as wg(8) writes them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { WireGuardError } from './errors.js';

/** In base64. */
export type Key = string;

const LENGTH = 32;
/** What stands before the key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');

export interface KeyPair {
  privateKey: Key;
  publicKey: Key;
}

export function generateKeys(): KeyPair {
  const { d = '', x = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  return { privateKey: fromBase64url(d), publicKey: fromBase64url(x) };
}

export function generatePresharedKey(): Key {
  return randomBytes(LENGTH).toString('base64');
}

/** Throws WireGuardError. */
export function publicKeyOf(privateKey: Key): Key {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, keyBytes(privateKey)]),
    format: 'der',
    type: 'pkcs8',
  });
  return fromBase64url(createPublicKey(key).export({ format: 'jwk' }).x ?? '');
}

export function isKey(value: unknown): value is Key {
  if (typeof value !== 'string') return false;
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === LENGTH && bytes.toString('base64') === value;
}

/** Throws WireGuardError, which does not have the key. */
export function keyBytes(key: Key): Buffer {
  if (!isKey(key)) throw new WireGuardError('invalid WireGuard key: expected 32 bytes in base64');
  return Buffer.from(key, 'base64');
}

function fromBase64url(text: string): Key {
  return Buffer.from(text, 'base64url').toString('base64');
}
