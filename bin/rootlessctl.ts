import { getCaller } from './common/caller.js';
import { setProcessName } from './common/process-name.js';
import { handleOutputErrors } from './common/standard-output.js';
import { runRootlessctl } from './ctl/command.js';

setProcessName('rootlessctl');
handleOutputErrors();
void runRootlessctl(getCaller().args);
