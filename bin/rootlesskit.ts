import { getCaller } from './common/caller.js';
import { rootlesskit } from './run/dialect.js';
import { runProgram } from './run/run-program.js';

void runProgram(rootlesskit, getCaller().args).then((code) => process.exit(code));
