import { runProgramToEnd } from '../programs.js';

const asked = new Map<string, Promise<string>>();

/** What `program --help` prints: versions differ in their options, and their numbers say less than this. */
export async function helpText(program: string): Promise<string> {
  const answer = asked.get(program) ?? ask(program);
  asked.delete(program);
  return answer;
}

/** Asks already now what helpText() is about to be asked. */
export function prepareHelpText(program: string): void {
  asked.set(program, ask(program));
}

async function ask(program: string): Promise<string> {
  return (await runProgramToEnd(program, ['--help'], { timeout: 5000 })).output;
}
