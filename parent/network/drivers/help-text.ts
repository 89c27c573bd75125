import { runProgramToEnd } from '../../programs/run-programs.js';

/** The output of `program --help`: which options a version has cannot be known from its number. */
export async function helpText(program: string): Promise<string> {
  return (await runProgramToEnd(program, ['--help'], { timeout: 5000 })).output;
}
