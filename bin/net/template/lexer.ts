/** Splits a template into text and the tokens of actions, which are between `{{` and `}}`. */
import { TemplateError } from './values.js';

export type Token =
  /** `.Name`; the text is the name. */
  | { kind: 'field'; text: string; spaced: boolean }
  /** `$`, `$name`. */
  | { kind: 'variable'; text: string; spaced: boolean }
  | { kind: 'word'; text: string; spaced: boolean }
  | { kind: 'string'; text: string; spaced: boolean }
  | { kind: 'number'; text: string; spaced: boolean }
  /** `.` alone, `|`, `(`, `)`, `:=`, `=`, `,`. */
  | { kind: 'mark'; text: string; spaced: boolean };

export type Part = { text: string } | { action: Token[] };

/** Tokens of an action. */
const PIECES = [
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['number', /[+-]?\d+(?:\.\d+)?(?![\p{L}\p{N}_])/uy],
  ['string', /"(?:[^"\\\n]|\\.)*"|`[^`]*`/uy],
  ['mark', /:=|[.|()=,]/uy],
] as const;
const OPEN = '{{';
const COMMENT = /\s*\/\*[\s\S]*?\*\/\s*/y;

/** Throws TemplateError. */
export function partsOf(template: string): Part[] {
  const parts: Part[] = [];
  let position = 0;
  let trim = false;
  for (;;) {
    const open = template.indexOf(OPEN, position);
    let text = template.slice(position, open < 0 ? undefined : open);
    if (trim) text = text.trimStart();
    if (open < 0) return [...parts, { text }];
    position = open + OPEN.length;
    if (/^-\s/.test(template.slice(position, position + 2))) {
      text = text.trimEnd();
      position++;
    }
    parts.push({ text });
    const { tokens, end, trimAfter } = tokensFrom(template, position);
    if (tokens) parts.push({ action: tokens });
    position = end;
    trim = trimAfter;
  }
}

interface Action {
  /** Undefined for a comment. */
  tokens: Token[] | undefined;
  end: number;
  trimAfter: boolean;
}

function tokensFrom(template: string, start: number): Action {
  const close = (position: number) => /^(\s+-)?\}\}/.exec(template.slice(position));
  COMMENT.lastIndex = start;
  const comment = COMMENT.exec(template);
  if (comment) {
    const end = start + comment[0].trimEnd().length;
    const match = close(end) ?? /^\s*\}\}/.exec(template.slice(end));
    if (!match) throw new TemplateError('a comment is not closed by */}}');
    return { tokens: undefined, end: end + match[0].length, trimAfter: match[1] !== undefined };
  }
  const tokens: Token[] = [];
  for (let position = start; ; ) {
    const blanks = /^\s*/.exec(template.slice(position))?.[0].length ?? 0;
    const end = close(position) ?? close(position + blanks);
    if (end) {
      const from = close(position) ? position : position + blanks;
      return { tokens, end: from + end[0].length, trimAfter: end[1] !== undefined };
    }
    position += blanks;
    if (position >= template.length) throw new TemplateError('an action is not closed by }}');
    const token = tokenAt(template, position, blanks > 0);
    tokens.push(token.token);
    position = token.end;
  }
}

function tokenAt(template: string, position: number, spaced: boolean): { token: Token; end: number } {
  for (const [kind, pattern] of PIECES) {
    pattern.lastIndex = position;
    const text = pattern.exec(template)?.[0];
    if (text === undefined) continue;
    const plain = kind === 'field' ? text.slice(1) : kind === 'string' ? unquoted(text) : text;
    return { token: { kind, text: plain, spaced }, end: position + text.length };
  }
  const character = String.fromCodePoint(template.codePointAt(position) ?? 0);
  if (character === '"' || character === '`') throw new TemplateError('a string is not closed');
  throw new TemplateError(`unexpected ${JSON.stringify(character)} in an action`);
}

/** A string of Go, "…" or `…`. Throws TemplateError. */
function unquoted(text: string): string {
  const inner = text.slice(1, -1);
  if (text.startsWith('`')) return inner;
  const plain: Record<string, string> = {
    n: '\n',
    t: '\t',
    r: '\r',
    '"': '"',
    '\\': '\\',
    a: '\x07',
    b: '\b',
    f: '\f',
    v: '\v',
  };
  return inner.replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)/gs, (_, letters: string) => {
    const character = plain[letters];
    if (character !== undefined) return character;
    if (letters.length > 1) return String.fromCharCode(Number.parseInt(letters.slice(1), 16));
    throw new TemplateError(`unknown escape \\${letters} in a string`);
  });
}
