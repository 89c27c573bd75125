/** Colours on terminals, as the user wants them: https://no-color.org, and FORCE_COLOR as Node has it (node(1)). */
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** What decides of a stream. */
interface Output {
  isTTY?: boolean;
}

/** FORCE_COLOR comes before NO_COLOR, and that before the terminal. */
export function isColoured(output: Output, env: NodeJS.ProcessEnv = process.env): boolean {
  const { FORCE_COLOR: force, NO_COLOR: no = '', TERM: terminal } = env;
  if (force !== undefined) return !['0', 'false'].includes(force);
  return no === '' && output.isTTY === true && terminal !== 'dumb';
}

/** The text in that style where the stream shows it. */
export function painted(style: Style, text: string, output: Output): string {
  // The stream has been looked at; later versions of Node would do so in their own way.
  return isColoured(output) ? styleText(style, text, { validateStream: false }) : text;
}
