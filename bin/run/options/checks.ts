/** Checks of single values; each throws UsageError. RootlessKit names some options without dashes in its messages. */
import { resolve } from 'node:path';
import { MAX_PORT_THREADS } from '../../../parent/engine/threads.js';
import { UsageError } from '../../../parent/errors.js';
import { userModeAddresses } from '../../../parent/network/drivers/addresses.js';
import { parseAutoAddresses } from '../../../parent/port/auto/addresses.js';
import type { ServedAddress } from '../../../parent/stack/options.js';
import { checkStackName } from '../../../parent/stack-discovery/choose.js';
import { parseNameListener } from '../../../protocol/dns/name-listener.js';
import { isLoopback } from '../../../protocol/net/ip.js';
import { parseHostPort } from '../../../protocol/ports/host-port.js';
import { checkAddress, checkPort, parseRange, splitFields } from '../../../protocol/ports/port-text.js';
import { parseGoInteger } from '../../rootlesskit-compat/go-flags.js';
import type { CheckContext } from './rule.js';
import { IncorrectUsageError } from './values.js';

const MAX_MTU = 65521;
/** Smallest MTU for IPv4 (RFC 791) and for IPv6 (RFC 8200, section 5). */
const MIN_MTU = 68;
const MIN_MTU6 = 1280;
/** Of the name of a network device, without the NUL (IFNAMSIZ, netdevice(7)). */
const MAX_IFNAME = 15;

/** The error for a value: "invalid --mtu "10": expected …". */
export function invalid(option: string, value: string, problem: string): UsageError {
  return new UsageError(`invalid --${option} ${JSON.stringify(value)}: ${problem}`);
}

/** In bytes. Throws UsageError. */
export function parseMtu(text: string, { dialect, values }: CheckContext): number {
  const mtu = parseGoInteger(text);
  if (dialect.name === 'rootlesskit') {
    if (mtu === undefined) {
      throw new IncorrectUsageError(
        `invalid value ${JSON.stringify(text)} for flag -mtu: parse error; expected a number from 0 to ${MAX_MTU}`,
      );
    }
    if (mtu < 0 || mtu > MAX_MTU) throw new UsageError(`mtu must be <= ${MAX_MTU}, got ${mtu}`);
    return mtu;
  }
  if (mtu === undefined || mtu < 0 || mtu > MAX_MTU) {
    throw invalid('mtu', text, `expected a number from 0 to ${MAX_MTU}`);
  }
  const min = values.ipv6 ? MIN_MTU6 : MIN_MTU;
  if (mtu !== 0 && mtu < min) {
    throw invalid('mtu', text, `expected 0, or at least ${min}${values.ipv6 ? ' with --ipv6' : ''}`);
  }
  return mtu;
}

export function checkMtu(text: string, context: CheckContext): void {
  parseMtu(text, context);
}

/** Throws UsageError. */
export function parsePortThreads(text: string): number {
  const threads = parseGoInteger(text);
  if (threads === undefined || threads < 1 || threads > MAX_PORT_THREADS) {
    throw invalid('port-threads', text, `expected a number from 1 to ${MAX_PORT_THREADS}`);
  }
  return threads;
}

export function checkPortThreads(text: string): void {
  parsePortThreads(text);
}

export function checkCidr(text: string): void {
  userModeAddresses(text);
}

export function checkHostPort(text: string): void {
  parseHostPort(text);
}

export function checkDnsPublish(text: string): void {
  parseNameListener(text);
}

export function checkMetricsAddress(text: string): void {
  parseServedAddress('metrics', text);
}

export function checkUIAddress(text: string): void {
  const { ip } = parseServedAddress('ui', text);
  if (!isLoopback(ip)) {
    throw invalid(
      'ui',
      text,
      'expected a loopback address, such as 127.0.0.1:8081; from elsewhere, reach it with: ssh -L',
    );
  }
}

export function checkIfname(name: string, { dialect }: CheckContext): void {
  if (name.includes('/') && dialect.name === 'rootlesskit') {
    throw new UsageError(`ifname must not contain "/", got ${name}`);
  }
  if (name === '' || name.length > MAX_IFNAME || /[\s:/]/.test(name) || ['.', '..', 'lo'].includes(name)) {
    throw invalid(
      'ifname',
      name,
      `expected 1 to ${MAX_IFNAME} characters without whitespace, "/" and ":", and not "lo"`,
    );
  }
}

export function checkCopyUpDirectory(dir: string): void {
  if (dir === '') throw invalid('copy-up', dir, 'expected a directory, such as /etc');
  const path = resolve(dir);
  if (path === '/' || path === '/tmp') throw invalid('copy-up', dir, `${path} cannot be copied up`);
}

export function checkCgroupName(name: string): void {
  if (name === '' || name.includes('/') || name === '.' || name === '..') {
    throw invalid('evacuate-cgroup2', name, 'expected the name of a cgroup, without "/"');
  }
}

/** Throws UsageError. */
export function parseServedAddress(option: string, text: string): ServedAddress {
  const fail = (problem: string): never => {
    throw invalid(option, text, `${problem}; expected [ip:]port, such as 8080`);
  };
  const fields = splitFields(text, fail).map((field) => field.text);
  const port = parseRange(fields.at(-1) ?? '', 'port', fail);
  if (fields.length > 2 || port.count > 1) fail('too many ports');
  checkPort(port.first, 'port', 1, fail);
  const [ip = '127.0.0.1'] = fields.slice(0, -1);
  checkAddress(ip, 'address', fail);
  return { ip, port: port.first };
}

export function checkHTTPAddress(text: string): void {
  parseServedAddress('http', text);
}

export function checkAutoAddress(text: string): void {
  parseAutoAddresses(text);
}

export function checkName(name: string): void {
  checkStackName(name);
}
