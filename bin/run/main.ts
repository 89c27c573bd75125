/** rootless-run: its subcommands, and a command in namespaces of its own for everything else. */
import { handleOutputErrors, outputWritten } from '../common/standard-output.js';
import { rootlessRun } from './dialect.js';
import { runProgram } from './run-program.js';

/** Loaded when needed, since starting a command must be fast. A command with one of these names is given after `--`. */
const subcommands: Readonly<Record<string, () => Promise<(args: readonly string[]) => Promise<number>>>> = {
  __complete: async () => (await import('../completion/rootless-run.js')).completeWords,
  completion: async () => (await import('../completion/rootless-run.js')).completion,
  doctor: async () => (await import('../stack/doctor.js')).doctor,
  ls: async () => (await import('../stack/ls.js')).ls,
  serve: async () => (await import('./serve.js')).serve,
  stop: async () => (await import('../stack/stop.js')).stop,
  systemd: async () => (await import('../systemd/command.js')).systemd,
};

/** Resolves with the exit code. */
export async function runMain(args: readonly string[]): Promise<number> {
  const [first = '', ...rest] = args;
  const subcommand = Object.hasOwn(subcommands, first) ? await subcommands[first]?.() : undefined;
  if (!subcommand) return runProgram(rootlessRun, args);
  handleOutputErrors();
  const code = await subcommand(rest);
  await outputWritten();
  return code;
}
