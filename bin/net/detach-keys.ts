/** The keys that end the connection to a container's terminal, and leave the container running: docker's, in its notation. */
import { UsageError } from '../../parent/errors.js';

const DEFAULT_KEYS = 'ctrl-p,ctrl-q';

/** The option, for commander. */
export const DETACH_KEYS = [
  '--detach-keys <keys>',
  'keys that detach from a terminal and leave the container running, "" for none',
  DEFAULT_KEYS,
] as const;

/** ctrl-a to ctrl-z, and ctrl- with one of these, in the order of their codes from 27 on. */
const AFTER_Z = '[\\]^_';

/** The bytes of keys such as `ctrl-p,q`: letters, or ctrl- with a letter or one of @[\]^_. None for "". Throws UsageError. */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(
    text.split(',').map((key) => {
      const code = codeOf(key);
      if (code !== undefined) return code;
      throw new UsageError(
        `invalid --detach-keys ${JSON.stringify(text)}: expected keys such as ${DEFAULT_KEYS}, each one character or ctrl- with a letter or one of @${AFTER_Z}`,
      );
    }),
  );
}

function codeOf(key: string): number | undefined {
  if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
  const [, control = ''] = /^ctrl-(.)$/i.exec(key) ?? [];
  if (/^[a-z]$/i.test(control)) return control.toLowerCase().charCodeAt(0) - 96;
  if (control === '@') return 0;
  const after = control === '' ? -1 : AFTER_Z.indexOf(control);
  return after < 0 ? undefined : 27 + after;
}

/** Looks for the keys in what is typed. The beginning of them is held back until it is known that the rest does not follow. */
export class DetachKeys {
  #matched = 0;

  /** @param keys none to look for nothing */
  constructor(private readonly keys: Buffer) {}

  /** What is to be passed on, and whether all keys have been typed; what is typed after them is dropped. */
  filter(data: Buffer): { data: Buffer; detached: boolean } {
    if (this.keys.length === 0) return { data, detached: false };
    const passed: number[] = [];
    for (const byte of data) {
      while (this.#matched > 0 && byte !== this.keys[this.#matched]) passed.push(...this.#giveUp());
      if (byte !== this.keys[this.#matched]) passed.push(byte);
      else if (++this.#matched === this.keys.length) return { data: Buffer.from(passed), detached: true };
    }
    return { data: Buffer.from(passed), detached: false };
  }

  /** Bytes that do not belong to the keys after all; what follows them may be the beginning again. */
  #giveUp(): Buffer {
    const held = this.keys.subarray(0, this.#matched);
    for (let length = 1; length <= held.length; length++) {
      const rest = held.subarray(length);
      if (!rest.equals(this.keys.subarray(0, rest.length))) continue;
      this.#matched = rest.length;
      return held.subarray(0, length);
    }
    return held;
  }
}
