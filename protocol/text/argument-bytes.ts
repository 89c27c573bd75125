/**
 * Arguments are bytes, and need not be UTF-8. Strings preserve them: a byte that is not part of a character becomes a lone
 * surrogate, U+DC80 to U+DCFF, as in Python (PEP 383, "surrogateescape").
 */
import { isUtf8 } from 'node:buffer';

const ESCAPED = 0xdc00;
/** Length in bytes of a character by its first byte; 1 for a byte that begins none. */
const lengthFrom = (byte: number) => (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1);

/** Decodes an argument into a string from which encodeArguments() restores the same bytes. */
export function decodeArgument(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  let text = '';
  for (let at = 0; at < buffer.length; ) {
    const byte = buffer[at] ?? 0;
    const character = buffer.subarray(at, at + lengthFrom(byte));
    const known = isUtf8(character);
    text += known ? character.toString('utf8') : String.fromCharCode(ESCAPED + byte);
    at += known ? character.length : 1;
  }
  return text;
}

/** The arguments, each followed by a NUL. */
export function encodeArguments(words: readonly string[]): Buffer {
  const text = words.map((word) => `${word}\0`).join('');
  // With the flag u the pattern does not match surrogates of a pair.
  if (!/[\udc80-\udcff]/u.test(text)) return Buffer.from(text, 'utf8');
  const parts = text.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - ESCAPED))),
  );
}
