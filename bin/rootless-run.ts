import { getCaller } from './common/caller.js';
import { runMain } from './run/main.js';

void runMain(getCaller().args).then((code) => process.exit(code));
