import { rootlessRun } from './dialect.js';
import { runProgram } from './run-program.js';

/** What there is beside running a command; a command of such a name comes after `--`. */
const subcommands: Readonly<Record<string, () => Promise<(args: readonly string[]) => Promise<number>>>> = {
  doctor: async () => (await import('./doctor.js')).doctor,
  serve: async () => (await import('./serve.js')).serve,
  systemd: async () => (await import('./systemd.js')).systemd,
};

async function main(args: readonly string[]): Promise<number> {
  const [first = '', ...rest] = args;
  const subcommand = Object.hasOwn(subcommands, first) ? await subcommands[first]?.() : undefined;
  return subcommand ? subcommand(rest) : runProgram(rootlessRun, args);
}

void main(process.argv.slice(2)).then((code) => process.exit(code));
