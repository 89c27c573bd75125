// What the tests share. Import from here.
export { freePort, hostAddresses, type TcpRequestOptions, tcpRequest, udpRequest } from './net.js';
export { binPath, repoRoot } from './paths.js';
export { describeProcess, isAlive, listProcesses, type ProcessInfo, processInfo, processTree } from './process-info.js';
export { type RunOptions, type RunResult, run } from './run.js';
export {
  listens,
  listensNow,
  type ProgramName,
  type Published,
  programPath,
  type RunningStack,
  type StackOptions,
  startStack,
} from './stack.js';
export { accepts, type Readiness, type Started, type StartOptions, start } from './start.js';
export { tempDir } from './temp-dir.js';
export {
  echo,
  type Outcome,
  openConnection,
  outcomeOf,
  pseudoRandom,
  pseudoRandomHash,
  tcpOutcome,
  udpAsk,
} from './traffic.js';
export { type WaitOptions, waitFor } from './wait-for.js';
