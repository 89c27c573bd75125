/**
 * Sanitises untrusted text: on a terminal control characters move the cursor, change its title or type for the user, and a line
 * without an end fills a log. Text from inside the namespaces passes through here once, where it is shown: a log line, a table
 * cell, an error message.
 */

/** Longest untrusted text that is shown as part of a line, in UTF-16 code units. */
export const MAX_PART = 500;
/** Longest line of a log, in UTF-16 code units. */
export const MAX_LINE = 8192;

/**
 * C0 and C1 controls, line and paragraph separators, bidirectional controls (UAX #9), lone surrogates, and zero-width
 * characters that make two names look alike.
 */
const UNPRINTABLE = '\\p{Cc}\\p{Zl}\\p{Zp}\\p{Cs}\\p{Bidi_Control}\\u{200b}\\u{2060}\\u{feff}';
/** One class, so that matching takes linear time for any text. Made when needed: compiling it takes half a millisecond. */
const runs = once(() => new RegExp(`[\\s${UNPRINTABLE}]+`, 'gu'));
const ONLY_BLANKS = /^ +$/;
const any = once(() => new RegExp(`[${UNPRINTABLE}]`, 'gu'));
/** Most text: nothing is unprintable in it. */
const PLAIN = /^[ -~]*$/;

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function replaceEach(text: string, replacement: (character: string) => string): string {
  return PLAIN.test(text) ? text : text.replaceAll(any(), replacement);
}

/** Text for one line: runs of unprintable characters become a blank, and text longer than `max` is cut with an ellipsis. */
export function printable(text: string, max = MAX_PART): string {
  // Cut first, so that a text of megabytes costs no more than a line.
  const cut = text.slice(0, max);
  const clean = PLAIN.test(cut) ? cut : cut.replaceAll(runs(), (run) => (ONLY_BLANKS.test(run) ? run : ' '));
  const shown = clean.trimEnd();
  return text.length > max ? `${shown}…` : shown;
}

/** Text of several lines: each unprintable character becomes a blank; line breaks and tabs stay. */
export function printableLines(text: string): string {
  return replaceEach(text, (character) => (/[\n\t]/.test(character) ? character : ' '));
}

/** JSON that is safe to show: the same value, with unprintable characters escaped. */
export function printableJSON(value: unknown, indent?: number): string {
  return replaceEach(JSON.stringify(value, undefined, indent) ?? 'null', (character) =>
    character === '\n' ? character : escaped(character),
  );
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
