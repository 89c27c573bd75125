import type { Command, Option } from 'commander';
import { UsageError } from '../../parent/errors.js';

const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/**
 * Makes a command and its subcommands accept docker's option syntax. A switch may have a value: `--rm=true`, `--rm=false`
 * (Go's strconv.ParseBool), `-d=true`; false equals no option, or its `--no-…`. A short option may have an equals sign before
 * its value: `-p=80:80`. The arguments of a program that is run in the container are not changed.
 */
export function acceptDockerSpellings(command: Command): void {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (words) => parse(usualSpellings(command, words));
  for (const subcommand of command.commands) acceptDockerSpellings(subcommand);
}

function usualSpellings(command: Command, words: readonly string[]): string[] {
  const result: string[] = [];
  const find = (flag: string) => command.options.find(({ short, long }) => flag === short || flag === long);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const isOperand = word === '-' || !word.startsWith('-');
    if (word === '--' || (isOperand && endsOptions(command))) return [...result, ...words.slice(index)];
    const [, flag = '', value] = /^(--?[^=]+)=(.*)$/s.exec(word) ?? [];
    const option = find(flag);
    if (option?.isBoolean() && value && ![...TRUE, ...FALSE].includes(value)) {
      throw new UsageError(`invalid ${flag} ${JSON.stringify(value)}: expected true or false`);
    }
    if (value !== undefined && [...TRUE, ...FALSE].includes(value)) {
      const off = find((option?.long ?? flag).replace(/^--/, '--no-'));
      if (option?.isBoolean() || (!option && off)) {
        if (TRUE.includes(value)) result.push(...(option ? [flag] : []));
        else if (off?.long) result.push(off.long);
        continue;
      }
    }
    if (option?.required && value !== undefined && !flag.startsWith('--')) {
      result.push(flag, value);
      continue;
    }
    result.push(word);
    const next = words[index + 1];
    if (takesNext(word, find) && next !== undefined) {
      result.push(next);
      index++;
    }
  }
  return result;
}

/** Whether the first word that is not an option begins a subcommand, or a program that is run in the container. */
function endsOptions(command: Command): boolean {
  // Commander does not expose it.
  return command.commands.length > 0 || Reflect.get(command, '_passThroughOptions') === true;
}

/** Whether the next word is the value of this one. */
function takesNext(word: string, find: (flag: string) => Option | undefined): boolean {
  if (word.startsWith('--')) return find(word)?.required ?? false;
  // In a cluster such as `-it`, the first option with a value takes the rest of the word.
  for (let at = 1; at < word.length; at++) {
    if (find(`-${word[at]}`)?.required) return at === word.length - 1;
  }
  return false;
}
