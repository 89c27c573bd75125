/** DNS messages (RFC 1035) for tests: written without compression, unless a name has a pointer in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../paths.js';

export const types = { A: 1, NS: 2, CNAME: 5, SOA: 6, AAAA: 28, OPT: 41, SVCB: 64, HTTPS: 65 } as const;

/** Labels of a name; a number is a compression pointer that ends it. */
export type Labels = readonly (string | number)[];

export interface RecordSpec {
  /** By default a pointer to the question's name. */
  owner?: Labels;
  type: number;
  class?: number;
  ttl?: number;
  data: Buffer;
}

export interface MessageSpec {
  id?: number;
  /** 0x0100 by default: a query that wants recursion. 0x8180 is an answer to it. */
  flags?: number;
  name?: Labels;
  type?: number;
  class?: number;
  answers?: readonly RecordSpec[];
  authorities?: readonly RecordSpec[];
  additionals?: readonly RecordSpec[];
  /** Overrides the number of questions, answers, authorities, additionals. */
  counts?: readonly number[];
}

/** The flags of an answer; the last digit may be replaced by an error. */
export const ANSWER = 0x8180;

export function numbers16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => {
    bytes.writeUInt16BE(value, 2 * i);
  });
  return bytes;
}

export function labels(name: string): string[] {
  return name === '' ? [] : name.split('.');
}

export function encodeName(name: Labels): Buffer {
  const parts: Buffer[] = [];
  for (const label of name) {
    if (typeof label === 'number') return Buffer.concat([...parts, numbers16(0xc000 | label)]);
    parts.push(Buffer.from([label.length]), Buffer.from(label, 'latin1'));
  }
  return Buffer.concat([...parts, Buffer.alloc(1)]);
}

function encodeRecord({ owner = [12], type, class: recordClass = 1, ttl = 60, data }: RecordSpec): Buffer {
  const time = Buffer.alloc(4);
  time.writeUInt32BE(ttl);
  return Buffer.concat([encodeName(owner), numbers16(type, recordClass), time, numbers16(data.length), data]);
}

export function encodeDns(message: MessageSpec): Buffer {
  const { id = 0x1234, flags = 0x0100, name = ['one', 'example'], type = types.A, class: queryClass = 1 } = message;
  const sections = [message.answers ?? [], message.authorities ?? [], message.additionals ?? []];
  const counts = message.counts ?? [1, ...sections.map(({ length }) => length)];
  const question = Buffer.concat([encodeName(name), numbers16(type, queryClass)]);
  return Buffer.concat([numbers16(id, flags, ...counts), question, ...sections.flat().map(encodeRecord)]);
}

/** The data of an HTTPS or SVCB record (RFC 9460). */
export function serviceData(priority: number, target: Labels, params: readonly (readonly [number, Buffer])[]): Buffer {
  const encoded = params.map(([key, value]) => Buffer.concat([numbers16(key, value.length), value]));
  return Buffer.concat([numbers16(priority), encodeName(target), ...encoded]);
}

/** The OPT record of EDNS (RFC 6891). */
export function edns(size = 1232, options: Buffer = Buffer.alloc(0)): RecordSpec {
  return { owner: [], type: types.OPT, class: size, ttl: 0, data: options };
}

/** The file of messages as they are seen in networks, and those messages by their descriptions. */
export const dnsSampleFile = join(repoRoot, 'test', 'programs', 'native', 'dns-samples.txt');

export function dnsSamples(): Map<string, Buffer> {
  const lines = readFileSync(dnsSampleFile, 'utf8').split('\n');
  const samples = new Map<string, Buffer>();
  lines.forEach((line, i) => {
    if (/^[0-9a-f]+$/.test(line)) samples.set((lines[i - 1] ?? '').replace(/^# /, ''), Buffer.from(line, 'hex'));
  });
  return samples;
}
