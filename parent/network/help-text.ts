import { runProgramToEnd } from '../programs.js';

/** What `program --help` prints: versions differ in their options, and their numbers say less than this. */
export async function helpText(program: string): Promise<string> {
  return (await runProgramToEnd(program, ['--help'], { timeout: 5000 })).output;
}
