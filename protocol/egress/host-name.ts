/** Names of hosts in rules, in the one form in which they are compared. */
import { domainToASCII } from 'node:url';

/** Longest name, without the final dot (RFC 1035, section 2.3.4). */
const MAX_NAME = 253;
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/**
 * The name in lower case, as punycode (UTS #46), without the final dot; undefined if it is none. Names whose last label is a
 * number are none: programs take them for addresses. The engine reads names alike (native/src/policy/peek/host_name.h).
 */
export function normalizeHostName(text: string): string | undefined {
  // Not for ASCII: that would turn 10.1 into an address.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  const ascii = /^[\x00-\x7f]*$/.test(text) ? text.toLowerCase() : domainToASCII(text);
  const name = ascii.replace(/\.$/, '');
  const labels = name.split('.');
  if (name.length > MAX_NAME || !labels.every((label) => LABEL.test(label))) return undefined;
  return /^\d+$/.test(labels.at(-1) ?? '') ? undefined : name;
}
