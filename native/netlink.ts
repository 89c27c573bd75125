/**
 * Netlink as bytes: messages, attributes, and a socket that carries them (netlink(7)). All numbers are in the byte order
 * of the machine, which is little endian on all that Node runs on under Linux but s390x; that one is refused.
 */
import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { native } from './index.js';

export const NLM_F = {
  REQUEST: 0x1,
  ACK: 0x4,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
} as const;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER = 16;
const NLMSGERR_ATTR_MSG = 1;
const NLA_TYPE_MASK = 0x3fff;

/** The kernel refused a message. */
export class NetlinkError extends Error {
  override name = 'NetlinkError';
  /**
   * @param code name of the errno, such as EEXIST
   * @param detail the kernel's explanation, "" if it gives none
   */
  constructor(
    readonly code: string,
    what: string,
    detail: string,
  ) {
    super(`${what}: ${code}${detail === '' ? '' : ` (${detail})`}`);
  }
}

export interface Message {
  type: number;
  /** Without REQUEST and ACK, which all have. */
  flags?: number;
  /** The family's header and the attributes. */
  payload: Buffer;
  /** What it does, for error messages. */
  what: string;
  /** Names of errnos that are not failures, such as EEXIST where the object may exist already. */
  accept?: readonly string[];
}

/** A message of an answer. */
export interface Answer {
  type: number;
  payload: Buffer;
}

/** An attribute; nested ones are attributes put together. */
export function attribute(type: number, value: Buffer | string | number): Buffer {
  const data = typeof value === 'string' ? Buffer.from(`${value}\0`) : typeof value === 'number' ? u32(value) : value;
  const out = Buffer.alloc(aligned(4 + data.length));
  out.writeUInt16LE(4 + data.length, 0);
  out.writeUInt16LE(type, 2);
  data.copy(out, 4);
  return out;
}

export function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value >>> 0);
  return out;
}

/** The attributes in a piece of a message, by their types; of several of one type, the last. */
export function attributes(data: Buffer): Map<number, Buffer> {
  return new Map(parseAttributes(data));
}

/** What the attributes in a list have, whatever their types are. */
export function elements(data: Buffer | undefined): Buffer[] {
  return data === undefined ? [] : [...parseAttributes(data)].map(([, value]) => value);
}

function* parseAttributes(data: Buffer): Generator<[type: number, value: Buffer]> {
  for (let at = 0; at + 4 <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < 4 || at + length > data.length) break;
    yield [data.readUInt16LE(at + 2) & NLA_TYPE_MASK, data.subarray(at + 4, at + length)];
    at += aligned(length);
  }
}

export function text(data: Buffer | undefined): string {
  return data === undefined ? '' : data.toString('utf8').replace(/\0+$/, '');
}

/** A netlink socket of one network namespace. Calls are carried out at once: the kernel needs microseconds for most. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  #sequence = 1;

  /**
   * @param netns path of the network namespace; "" for that of this process
   * Throws the errors of open(2) and setns(2).
   */
  constructor(protocol: number, netns = '') {
    if (endianness() !== 'LE') throw new Error('container networks are not supported on big-endian machines');
    this.#fd = native().openNetlink(protocol, netns);
  }

  /** Sends messages in one go. Throws NetlinkError for the first that was refused; those after it are carried out nevertheless. */
  send(...messages: readonly Message[]): void {
    // The kernel calls an empty packet an error (ENODATA).
    if (messages.length === 0) return;
    const first = this.#sequence;
    check(messages, first, native().netlinkExchange(this.#fd, this.#packets(messages), messages.length));
  }

  /**
   * Like send(), on another thread, for what the kernel takes long for. The socket must not be used, and not be closed, until
   * the promise is settled.
   */
  async sendAside(...messages: readonly Message[]): Promise<void> {
    if (messages.length === 0) return;
    const first = this.#sequence;
    check(messages, first, await native().netlinkExchangeAsync(this.#fd, this.#packets(messages), messages.length));
  }

  /** One object, after other messages in the same go; undefined if the error is an accepted one. Throws NetlinkError. */
  get(message: Message, ...before: readonly Message[]): Answer | undefined {
    const first = this.#sequence;
    const messages = [...before, message];
    const answers = native().netlinkExchange(this.#fd, this.#packets(messages), messages.length);
    check(messages, first, answers);
    return parse(answers).find(({ type }) => type !== NLMSG_ERROR);
  }

  /** All that the kernel has of a kind. Throws NetlinkError. */
  dump(message: Message): Answer[] {
    const packet = this.#packet(message, NLM_F.DUMP);
    const answers: Answer[] = [];
    for (const { type, payload } of parse(native().netlinkExchange(this.#fd, packet, 1))) {
      const error = type === NLMSG_ERROR ? refusal(message.what, payload) : undefined;
      if (error) throw error;
      if (type !== NLMSG_DONE && type !== NLMSG_ERROR) answers.push({ type, payload });
    }
    return answers;
  }

  #packets(messages: readonly Message[]): Buffer {
    return Buffer.concat(messages.map((message) => this.#packet(message, NLM_F.ACK)));
  }

  #packet({ type, flags = 0, payload }: Message, extra: number): Buffer {
    const packet = Buffer.alloc(aligned(HEADER + payload.length));
    packet.writeUInt32LE(HEADER + payload.length, 0);
    packet.writeUInt16LE(type, 4);
    packet.writeUInt16LE(NLM_F.REQUEST | extra | flags, 6);
    packet.writeUInt32LE(this.#sequence++, 8);
    payload.copy(packet, HEADER);
    return packet;
  }

  [Symbol.dispose](): void {
    native().closeFd(this.#fd);
  }
}

/** Throws NetlinkError for the first of consecutive messages that was refused. */
function check(messages: readonly Message[], first: number, answers: Buffer): void {
  let failure: NetlinkError | undefined;
  for (const { type, sequence, payload } of parse(answers)) {
    const message = messages[sequence - first];
    if (type !== NLMSG_ERROR || message === undefined) continue;
    const error = refusal(message.what, payload);
    if (error && !message.accept?.includes(error.code)) failure ??= error;
  }
  if (failure) throw failure;
}

function parse(data: Buffer): (Answer & { sequence: number })[] {
  const found: (Answer & { sequence: number })[] = [];
  for (let at = 0; at + HEADER <= data.length; ) {
    const length = data.readUInt32LE(at);
    if (length < HEADER) break;
    found.push({
      type: data.readUInt16LE(at + 4),
      sequence: data.readUInt32LE(at + 8),
      payload: data.subarray(at + HEADER, at + length),
    });
    at += aligned(length);
  }
  return found;
}

/** The error of an error message; undefined if it is an acknowledgement. */
function refusal(what: string, payload: Buffer): NetlinkError | undefined {
  const error = payload.readInt32LE(0);
  if (error === 0) return undefined;
  // The header of what was refused, then the kernel's words.
  const words = attributes(payload.subarray(4 + HEADER)).get(NLMSGERR_ATTR_MSG);
  return new NetlinkError(getSystemErrorName(error), what, text(words));
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
