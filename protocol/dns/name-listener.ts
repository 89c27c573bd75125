/** Where the host's programs ask for names (`rootless-run --dns-publish`): [ip:]port, 127.0.0.1 unless given. */
import { ExpectedError } from '../errors/expected-error.js';
import { bracket, checkAddress, type Fail, plainAddress, quote, splitFields } from '../ports/port-text.js';

export interface NameListener {
  ip: string;
  /** 0 for any free one. */
  port: number;
}

const EXPECTED = 'expected [ip:]port, such as 5353 or 127.0.0.1:5353';
const LOOPBACK = '127.0.0.1';
const MAX_PORT = 65535;

export class NameListenerError extends ExpectedError {
  override name = 'NameListenerError';
  override readonly code: string = 'invalid-port';
}

/** Throws NameListenerError. */
export function parseNameListener(text: string): NameListener {
  const fail: Fail = (problem) => {
    throw new NameListenerError(`invalid --dns-publish ${quote(text)}: ${problem}; ${EXPECTED}`);
  };
  const fields = splitFields(text, fail).map((field) => field.text);
  if (fields.length > 2) fail('too many colons, an IPv6 address needs brackets');
  const port = fields.pop() ?? '';
  const ip = fields.pop();
  if (!/^\d{1,5}$/.test(port) || Number(port) > MAX_PORT) fail(`port ${quote(port)} is not between 0 and ${MAX_PORT}`);
  if (ip === undefined) return { ip: LOOPBACK, port: Number(port) };
  // Answers have to come from the address that was asked.
  if (ip === '' || checkAddress(ip, 'address', fail).unspecified)
    fail('an address of the host is needed, not all of them');
  return { ip: plainAddress(ip), port: Number(port) };
}

export function formatNameListener({ ip, port }: NameListener): string {
  return `${bracket(ip)}:${port}`;
}
