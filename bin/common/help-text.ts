/** Wraps help to the width of the terminal, or to 80 columns if there is none. */
import { type Command, Help } from 'commander';

const WIDTH = 80;
/** Descriptions are wrapped if at least this many columns remain beside the options. */
const MIN_COLUMNS = 20;

const help = new Help();

/** Wraps the help of a command and of its subcommands, and leaves out defaults that are empty lists. */
export function wrapHelp(command: Command): Command {
  command.configureHelp({
    ...command.configureHelp(),
    minWidthToWrap: MIN_COLUMNS,
    optionDescription: (option) =>
      Array.isArray(option.defaultValue) && option.defaultValue.length === 0
        ? option.description
        : help.optionDescription(option),
  });
  for (const subcommand of command.commands) wrapHelp(subcommand);
  return command;
}

/** Appends text to the help, wrapped; lines that begin with a space, such as examples, are not changed. */
export function addTextAfter(command: Command, text: string): Command {
  return command.addHelpText('after', () => `\n${wrapped(text, process.stdout.columns || WIDTH)}`);
}

function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  let open = false;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith(' ')) {
      lines.push(line);
      open = false;
      continue;
    }
    for (const word of line.split(' ')) {
      const last = lines.at(-1) ?? '';
      if (open && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
      else lines.push(word);
      open = true;
    }
  }
  return lines.join('\n');
}
