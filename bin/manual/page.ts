/**
 * Renders manual pages from the command objects that print `--help` (man-pages(7), groff_man(7)).
 */
import type { Command, Option } from 'commander';

/** The parts of a manual page that the command object does not have. */
export interface ManualText {
  /** For "NAME": a few words, without the program's name. */
  summary: string;
  /** Sections after the options: title and paragraphs; a paragraph that begins with a space is preformatted. */
  sections: readonly (readonly [title: string, ...paragraphs: string[]])[];
  seeAlso: readonly string[];
}

/** A page of section 1, in roff. */
export function manualPage(command: Command, text: ManualText, version: string): string {
  const name = command.name();
  const help = command.createHelp();
  const lines = [
    `.TH ${name.toUpperCase()} 1 "" "rootless-net ${version}" "User Commands"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(text.summary)}`,
    '.SH SYNOPSIS',
    `.B ${roff(name)}`,
    roff(command.usage()),
    '.SH DESCRIPTION',
    roff(command.description()),
  ];
  lines.push('.SH OPTIONS');
  for (const [group, options] of grouped(help.visibleOptions(command))) {
    if (group !== NO_GROUP) lines.push(`.SS ${group.replace(/:$/, '')}`);
    lines.push(...options.flatMap((option) => describeOption(option)));
  }
  const commands = commandsOf(command);
  if (commands.length > 0) lines.push('.SH COMMANDS');
  for (const { words, command: sub } of commands) {
    lines.push('.TP', `.B ${roff(`${words} ${sub.usage()}`.trim())}`, roff(sub.description()));
    for (const option of help.visibleOptions(sub).filter(({ long }) => long !== '--help')) {
      lines.push('.RS', ...describeOption(option), '.RE');
    }
  }
  for (const [title, ...paragraphs] of text.sections) {
    lines.push(`.SH ${title.toUpperCase()}`, ...paragraphs.flatMap(describeParagraph));
  }
  lines.push(
    '.SH SEE ALSO',
    text.seeAlso.map((page) => `.BR ${roff(page).replace(/\((\w+)\)$/, ' ($1)')}`).join(' ,\n'),
  );
  return `${lines.join('\n')}\n`;
}

/** The commands without subcommands, with their full names. */
export function commandsOf(command: Command, before = ''): { words: string; command: Command }[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((sub) => sub.name() !== 'help')
    .flatMap((sub) => {
      const words = `${before}${sub.name()}`;
      return sub.commands.length > 0 ? commandsOf(sub, `${words} `) : [{ words, command: sub }];
    });
}

/** Title of the options that commander adds. */
const NO_GROUP = '';

function grouped(options: Option[]): Map<string, Option[]> {
  const groups = new Map<string, Option[]>();
  for (const option of options) {
    const title = option.helpGroupHeading ?? NO_GROUP;
    groups.set(title, [...(groups.get(title) ?? []), option]);
  }
  return groups;
}

function describeOption(option: Option): string[] {
  const value = option.defaultValue;
  const shown = value === undefined || value === false || (Array.isArray(value) && value.length === 0);
  return ['.TP', `.B ${roff(option.flags)}`, roff(`${option.description}${shown ? '' : ` (default: ${value})`}`)];
}

function describeParagraph(paragraph: string): string[] {
  if (paragraph.startsWith(' ')) return ['.PP', '.nf', roff(paragraph), '.fi'];
  return ['.PP', roff(paragraph)];
}

/** Escapes what roff would interpret. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(
      /\P{ASCII}/gu,
      (character) => `\\[u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .split('\n')
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join('\n');
}
