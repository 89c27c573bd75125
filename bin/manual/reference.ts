/** Renders the reference of commands, docs/help/commands.md, from the command objects that print `--help`. */
import type { Command, Option } from 'commander';
import { commandsOf } from './page.js';

/**
 * A section for each program, with its subcommands and their options.
 *
 * @param known a command whose options have a page of their own
 */
export function commandReference(programs: readonly Command[], known: Command): string {
  return programs.map((program) => sectionOf(program, optionsOf(known))).join('\n\n');
}

function sectionOf(program: Command, known: readonly string[]): string {
  const name = program.name();
  const lines = [`## ${name}`, '', sentence(program.description())];
  const own = optionsOf(program);
  const isKnown = own.length > 0 && own.every((line) => known.includes(line));
  if (isKnown) lines.push('', 'Its options have [a page of their own](../guide/options.md).');
  else if (own.length > 0) lines.push('', ...own);
  // Of commands with the same options, such as run and create, the first one shows them.
  const shown = new Map<string, string>();
  for (const { words, command } of commandsOf(program)) {
    const title = `${name} ${words}`;
    lines.push(
      '',
      `### ${title}`,
      '',
      `\`${`${title} ${command.usage()}`.trim()}\`: ${sentence(command.description())}`,
    );
    const all = optionsOf(command).filter((line) => isKnown || !own.includes(line));
    const options = all.filter((line) => !known.includes(line));
    if (all.length > options.length + 3) options.push('- the options of `rootless-run`');
    const text = options.join('\n');
    const before = shown.get(text);
    if (options.length > 3 && before !== undefined) lines.push('', `Options as of \`${before}\`.`);
    else if (options.length > 0) lines.push('', ...options);
    if (!shown.has(text)) shown.set(text, title);
  }
  return lines.join('\n');
}

function optionsOf(command: Command): string[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => `- \`${option.flags}\`: ${escaped(option.description)}${defaultOf(option)}`);
}

function defaultOf({ defaultValue: value }: Option): string {
  const shown = value === undefined || value === false || (Array.isArray(value) && value.length === 0);
  return shown ? '' : ` (default: ${value})`;
}

/** Text that Markdown shows as it is. */
function escaped(text: string): string {
  return text.replaceAll(/[*_<|]/g, '\\$&');
}

const sentence = (text: string) => escaped(text.replace(/\.$/, '').split('\n').join(' '));
