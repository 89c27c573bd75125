import { pythonProgram } from './paths.js';
import { type RunOptions, run } from './run.js';

const script = pythonProgram('processes/on-terminal');

export interface TerminalResult {
  /** Exit code; negative for the number of a signal, -9 after 20 s. */
  code: number;
  /** What the terminal showed, with the keys that it echoed. */
  output: string;
}

/** What is done with a terminal: keys that are typed, or another size for it. */
export type TerminalInput = string | { columns: number; rows: number };

/** Runs a program in a terminal of its own, as its session's leader. Does the second of each pair when the first shows. */
export async function runInTerminal(
  command: readonly string[],
  steps: readonly (readonly [shown: string, input: TerminalInput])[] = [],
  options: RunOptions = {},
): Promise<TerminalResult> {
  const { stdout, stderr, code } = await run('python3', ['-c', script, JSON.stringify(steps), ...command], options);
  if (code !== 0) throw new Error(`the terminal failed:\n${stderr}`);
  return JSON.parse(stdout) as TerminalResult;
}
