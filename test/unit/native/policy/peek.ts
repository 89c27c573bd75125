/** What the first bytes of connections show; see native/src/policy/peek/first_bytes.h. */
import { nativeTest } from '../../../support/native-test.js';

export interface PeekedBytes {
  kind: 'tls' | 'http' | 'http2' | 'other';
  name: string;
  encryptedHello: boolean;
  /** It has begun as TLS or HTTP, though it is neither. */
  begun: boolean;
  /** More bytes are needed. */
  more: boolean;
  consumed: number;
}

/** Feeds the bytes of each connection in pieces of `step`, until no more are needed. */
export function peek(...connections: { bytes: Buffer; step: number }[]): Promise<PeekedBytes[]> {
  return nativeTest<PeekedBytes>(
    ['policy-peek'],
    connections.map(({ bytes, step }) => `${step} ${bytes.toString('hex')}`),
  );
}
