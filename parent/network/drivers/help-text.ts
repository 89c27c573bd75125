import { runProgramToEnd } from '../../programs/run-programs.js';

const asked = new Map<string, Promise<string>>();

/** The output of `program --help`: which options a version has cannot be known from its number. */
export async function helpText(program: string): Promise<string> {
  const answer = asked.get(program) ?? ask(program);
  asked.delete(program);
  return answer;
}

/** Starts the program for a later helpText(). */
export function prepareHelpText(program: string): void {
  asked.set(program, ask(program));
}

async function ask(program: string): Promise<string> {
  return (await runProgramToEnd(program, ['--help'], { timeout: 5000 })).output;
}
