/**
 * Messages of the agent that are longer than a packet may be (kMaxPacket, native/src/connect/wire.h), such as all names of a
 * large network: they are sent in parts, one after the other, with nothing between them.
 */
import { decodeMessage, encodeMessage, type Message, ProtocolError } from './messages.js';

/** Of a part, in bytes. */
const MAX_PART = 48 * 1024;
/** Of a whole message. */
export const MAX_MESSAGE = 8 * 1024 * 1024;

/** The packets of a message. Throws ProtocolError for one that is too long. */
export function encodeParts(message: Message): Buffer[] {
  const whole = encodeMessage(message);
  if (whole.length <= MAX_PART) return [whole];
  if (whole.length > MAX_MESSAGE)
    throw new ProtocolError(`a message has ${whole.length} bytes; ${MAX_MESSAGE} are allowed`);
  return Array.from({ length: Math.ceil(whole.length / MAX_PART) }, (_, index) => {
    const end = (index + 1) * MAX_PART;
    return encodeMessage({ type: 'part', last: end >= whole.length, data: whole.subarray(index * MAX_PART, end) });
  });
}

/** Puts the parts of one sender together again. */
export class MessageReader {
  #parts: Uint8Array[] = [];
  #size = 0;

  /** A whole message, with its size in bytes; undefined for a part that is not the last one. Throws ProtocolError. */
  read(packet: Uint8Array): { message: Message; bytes: number } | undefined {
    const message = decodeMessage(packet);
    if (message.type !== 'part') {
      if (this.#parts.length > 0) throw new ProtocolError('a message between the parts of another one');
      return { message, bytes: packet.length };
    }
    this.#parts.push(message.data);
    this.#size += packet.length;
    if (this.#size > 2 * MAX_MESSAGE || this.#parts.length > MAX_MESSAGE / MAX_PART + 1) {
      throw new ProtocolError(`a message of more than ${MAX_MESSAGE} bytes`);
    }
    if (!message.last) return undefined;
    const [whole, bytes] = [decodeMessage(Buffer.concat(this.#parts)), this.#size];
    this.#parts = [];
    this.#size = 0;
    if (whole.type === 'part') throw new ProtocolError('a part within a part');
    return { message: whole, bytes };
  }
}
