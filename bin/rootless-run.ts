#!/usr/bin/env node
import './check-node.js';
import { rootlessRun } from './dialect.js';
import { runProgram } from './run-program.js';

/** What there is beside running a command; a command of such a name comes after `--`. */
const subcommands: Readonly<Record<string, () => Promise<(args: readonly string[]) => Promise<number>>>> = {
  doctor: async () => (await import('./doctor.js')).doctor,
  serve: async () => (await import('./serve.js')).serve,
  systemd: async () => (await import('./systemd.js')).systemd,
};

const [first = '', ...rest] = process.argv.slice(2);
const subcommand = Object.hasOwn(subcommands, first) ? await subcommands[first]?.() : undefined;
process.exit(await (subcommand ? subcommand(rest) : runProgram(rootlessRun, process.argv.slice(2))));
