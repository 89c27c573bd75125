/**
 * DNS messages (RFC 1035) for reports: a query is made, and an answer read. Answers come from anywhere; each name has as many
 * labels and pointers as a valid one at most, and reading ends at the first record that is malformed.
 */
import { recordTypeName, RECORD_TYPES as TYPES } from '../../protocol/dns/record-types.js';
import { formatIP, parseIP } from '../../protocol/net/ip.js';

const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const HEADER = 12;
const MAX_NAME = 255;
const MAX_RECORDS = 256;

export interface DnsRecord {
  name: string;
  type: string;
  /** In seconds. */
  ttl: number;
  /** As text; in hexadecimal where the type is none of those that hold an address or a name. */
  data: string;
}

export interface DnsAnswer {
  /** `NOERROR`, `NXDOMAIN` … */
  status: string;
  records: DnsRecord[];
}

/** The name under which an address has its name (RFC 1035, 3.5; RFC 3596, 2.5); the text itself if it is not an address. */
export function reverseName(text: string): string {
  const address = parseIP(text);
  if (!address) return text;
  const { family, value } = address;
  if (family === 4) return `${text.split('.').reverse().join('.')}.in-addr.arpa`;
  return `${[...value.toString(16).padStart(32, '0')].reverse().join('.')}.ip6.arpa`;
}

/** A question with recursion desired and EDNS, as programs ask it; undefined if that is not a valid name. */
export function encodeQuery(name: string, type: number): Buffer | undefined {
  const labels = name
    .replace(/\.$/, '')
    .split('.')
    .map((label) => Buffer.from(label));
  const isName = labels.every(({ length }) => length > 0 && length < 64);
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), label]);
  const wire = Buffer.concat([...parts, Buffer.from([0])]);
  if (!isName || wire.length > MAX_NAME) return undefined;
  const header = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  // Answers may have 1,232 bytes.
  const edns = Buffer.from([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, wire, Buffer.from([type >> 8, type & 0xff, 0, 1]), edns]);
}

/** Undefined if it is not a message. */
export function decodeAnswer(message: Buffer): DnsAnswer | undefined {
  if (message.length < HEADER) return undefined;
  const rcode = message.readUInt8(3) & 0xf;
  const status = RCODES[rcode] ?? `RCODE${rcode}`;
  const records: DnsRecord[] = [];
  try {
    let at = HEADER;
    for (let i = message.readUInt16BE(4); i > 0; i--) at = readName(message, at).end + 4;
    for (let i = Math.min(message.readUInt16BE(6), MAX_RECORDS); i > 0; i--) {
      const { name, end } = readName(message, at);
      const type = message.readUInt16BE(end);
      const from = end + 10;
      const length = message.readUInt16BE(end + 8);
      if (from + length > message.length) break;
      at = from + length;
      records.push({
        name,
        type: recordTypeName(type),
        ttl: message.readUInt32BE(end + 4),
        data: dataOf(message, type, from, length),
      });
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return { status, records };
}

function dataOf(message: Buffer, type: number, from: number, length: number): string {
  const data = message.subarray(from, from + length);
  if ((type === TYPES.A && length === 4) || (type === TYPES.AAAA && length === 16)) {
    return formatIP({ family: length === 4 ? 4 : 6, value: BigInt(`0x${data.toString('hex')}`) });
  }
  if (type === TYPES.CNAME || type === TYPES.PTR || type === TYPES.NS) return readName(message, from).name;
  return data.toString('hex');
}

/** Throws RangeError. Bytes that are not printable are escaped (\\046). */
function readName(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let end: number | undefined;
  let at = start;
  for (let steps = 0; steps < MAX_NAME; steps++) {
    const length = message.readUInt8(at);
    if (length === 0) return { name: labels.join('.') || '.', end: end ?? at + 1 };
    if (length >= 0xc0) {
      end ??= at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      continue;
    }
    const label = message.subarray(at + 1, at + 1 + length);
    labels.push([...label].map((byte) => (isPlain(byte) ? String.fromCharCode(byte) : escaped(byte))).join(''));
    at += length + 1;
  }
  throw new RangeError('a name has no end');
}

function isPlain(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
}

function escaped(byte: number): string {
  return `\\${String(byte).padStart(3, '0')}`;
}
