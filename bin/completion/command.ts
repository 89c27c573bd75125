/** `PROGRAM completion SHELL`, and what the scripts ask in turn: `PROGRAM __complete WORD...`. */
import { Command } from 'commander';
import { parseShell, shellScript, shells } from './shell-scripts.js';

/** The first word of a request for completions. */
export const COMPLETE = '__complete';

/** @param name as the command calls itself */
export function makeCompletionCommand(program: string, name = 'completion'): Command {
  return new Command(name)
    .description(`print the script that completes command lines of ${program} in a shell`)
    .argument('<shell>', shells.join(', '))
    .action((shell: string) => {
      process.stdout.write(shellScript(parseShell(shell), program));
    });
}

/**
 * Prints candidates for the last of the words, and ends the program: what has not answered in time is not waited for. Never
 * fails: a shell shows nothing of an error.
 */
export async function printCompletions(program: Command, words: readonly string[]): Promise<void> {
  let lines: readonly string[] = [];
  try {
    const [{ complete }, { existingValues }] = await Promise.all([import('./complete.js'), import('./names.js')]);
    lines = await complete(program, words, existingValues);
  } catch {
    // There is nothing to be completed, then.
  }
  process.stdout.write(lines.map((line) => `${line}\n`).join(''), () => process.exit());
}
