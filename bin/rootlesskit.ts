import { rootlesskit } from './dialect.js';
import { runProgram } from './run-program.js';

void runProgram(rootlesskit, process.argv.slice(2)).then((code) => process.exit(code));
