import { execa } from 'execa';

/** What `program --help` prints: versions differ in their options, and their numbers say less than this. */
export async function helpText(program: string): Promise<string> {
  const { all } = await execa(program, ['--help'], { all: true, reject: false, stdin: 'ignore', timeout: 5000 });
  return all ?? '';
}
