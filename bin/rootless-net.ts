import { getCaller } from './common/caller.js';
import { setProcessName } from './common/process-name.js';
import { handleOutputErrors } from './common/standard-output.js';
import { runRootlessNet } from './net/command.js';

setProcessName('rootless-net');
handleOutputErrors();
void runRootlessNet(getCaller().args);
