/** How many columns of a terminal a text takes: East Asian wide characters and emoji two (UAX #11), combining ones none. */

/** Most text. */
const PLAIN = /^[ -~]*$/;

interface Patterns {
  wide: RegExp;
  none: RegExp;
}
let patterns: Patterns | undefined;

/** Made when needed: compiling them takes longer than all else that prints a table. */
function compiled(): Patterns {
  patterns ??= {
    // Of the scripts, but not the halfwidth forms of their characters.
    wide: /(?![\uff61-\uffdc])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u,
    none: /[\p{Mn}\p{Me}\p{Cf}]/u,
  };
  return patterns;
}

export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  const { wide, none } = compiled();
  let width = 0;
  for (const character of text) width += none.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

/** The beginning of a text, as far as it fits into so many columns. */
export function cutToWidth(text: string, columns: number): string {
  let kept = '';
  let left = columns;
  for (const character of text) {
    left -= textWidth(character);
    if (left < 0) break;
    kept += character;
  }
  return kept;
}
