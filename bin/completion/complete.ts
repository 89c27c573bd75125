/**
 * Candidates for the last word of a command line, found in the command objects.
 *
 * Theory of operation. The words before it are followed from the program down to its subcommand, past options and their
 * values. Then the last word is an option, the value of one, a subcommand, or an argument. What an argument or a value is
 * follows from its name in the command object: `<container...>` is completed by containers, `<dir>` by directories.
 */
import type { Argument, Command, Option } from 'commander';

export type Fallback = ':files' | ':directories' | ':commands';

export interface Candidate {
  value: string;
  description: string;
}

/** Where a value is wanted. */
export interface Place {
  command: Command;
  /** The option whose value it is. */
  option?: Option;
  /** Values of the options before it, by their long names: they select the stack. */
  given: ReadonlyMap<string, string>;
}

/** What is there now, or can be, for an argument or value of that name; nothing if that is not known. */
export type Values = (name: string, place: Place) => Promise<readonly string[]>;

/** What the names of arguments and values stand for, where the shell knows it. */
const BY_SHELL: Readonly<Record<string, Fallback>> = {
  dir: ':directories',
  directory: ':directories',
  path: ':files',
  file: ':files',
  command: ':commands',
  program: ':commands',
};

interface Position extends Place {
  /** Number of arguments before the word. */
  at: number;
  /** Whether the word can be no option. */
  onlyArguments: boolean;
}

/**
 * Lines as the scripts of shells read them.
 * @param words without the name of the program; the last one is to be completed
 */
export async function complete(program: Command, words: readonly string[], values: Values): Promise<string[]> {
  const current = words.at(-1) ?? '';
  const position = positionAfter(program, words.slice(0, -1));
  const { candidates, fallback } = await found(position, current, values);
  const lines = candidates
    .filter(({ value }) => value.startsWith(current))
    .map(({ value, description }) => `${value}\t${description.replaceAll(/\s+/g, ' ')}`);
  return fallback ? [...lines, fallback] : lines;
}

interface Found {
  candidates: readonly Candidate[];
  /** What the shell adds to them. */
  fallback?: Fallback | undefined;
}

async function found(position: Position, current: string, values: Values): Promise<Found> {
  const { command, option, onlyArguments, given } = position;
  if (option) return valuesFor(option, '', { place: position, values });
  const equals = current.indexOf('=');
  if (!onlyArguments && current.startsWith('--') && equals > 0) {
    const assigned = optionOf(command, current.slice(0, equals));
    if (!assigned) return { candidates: [] };
    return valuesFor(assigned, current.slice(0, equals + 1), { place: position, values });
  }
  if (!onlyArguments && current.startsWith('-')) return { candidates: optionsOf(command) };
  const commands = position.at === 0 && !onlyArguments ? commandsOf(command) : [];
  const argument = argumentAt(command, position.at);
  if (!argument) return { candidates: commands };
  const isFirst = command.registeredArguments.indexOf(argument) === position.at;
  // Behind a program are its own arguments.
  if (isProgram(argument)) return { candidates: commands, fallback: isFirst ? ':commands' : ':files' };
  const known = await values(argument.name(), { command, given });
  const named = known.map((value) => ({ value, description: '' }));
  return { candidates: [...commands, ...named], fallback: BY_SHELL[argument.name()] };
}

function positionAfter(program: Command, words: readonly string[]): Position {
  const given = new Map<string, string>();
  let command = program;
  let at = 0;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (word === '--') return { command, given, at: at + words.length - index - 1, onlyArguments: true };
    if (word.startsWith('-') && word !== '-') {
      const [, name = word, joined] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
      const option = valuedOption(command, name);
      if (!option) continue;
      if (joined === undefined && ++index >= words.length) return { command, given, at, option, onlyArguments: false };
      given.set(option.long ?? name, joined ?? words[index] ?? '');
      continue;
    }
    const sub =
      at === 0 ? command.commands.find((one) => one.name() === word || one.aliases().includes(word)) : undefined;
    if (sub) command = sub;
    // What follows belongs to the program that is run.
    else if (isProgram(argumentAt(command, at++))) return { command, given, at, onlyArguments: true };
  }
  return { command, given, at, onlyArguments: false };
}

function isProgram(argument: Argument | undefined): boolean {
  return argument?.name() === 'command';
}

function argumentAt({ registeredArguments }: Command, index: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic ? last : undefined);
}

/** The option that gets its value from the next word: of `-it` the last letter counts. */
function valuedOption(command: Command, word: string): Option | undefined {
  const option = optionOf(command, word) ?? (word.startsWith('--') ? undefined : optionOf(command, `-${word.at(-1)}`));
  return option && !option.isBoolean() && option.required ? option : undefined;
}

function optionOf(command: Command, name: string): Option | undefined {
  return command.options.find(({ long, short }) => name === long || name === short);
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short, description }) => {
      const value = long ?? short;
      return value === undefined ? [] : [{ value, description }];
    });
}

function commandsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((sub) => sub.name() !== 'help')
    .map((sub) => ({ value: sub.name(), description: sub.description() }));
}

/** @param prefix what stands before the value in the same word */
async function valuesFor(
  option: Option,
  prefix: string,
  { place, values }: { place: Place; values: Values },
): Promise<Found> {
  const [, name = ''] = /[<[]([\w-]+)/.exec(option.flags) ?? [];
  const fallback = BY_SHELL[name];
  if (fallback) return { candidates: [], fallback };
  const all = option.argChoices ?? (await values(name, { ...place, option }));
  return { candidates: all.map((value) => ({ value: `${prefix}${value}`, description: '' })) };
}
