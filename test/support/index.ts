// What tests call: processes (run, start, process-info), waiting, files; stacks/ starts stacks of every kind, and traffic/ is
// clients and servers. Tests import from here, and what few need from the file itself. No assertions about the product, and
// nothing that a single test file needs.

export { binPath, repoRoot } from './paths.js';
export {
  describeProcess,
  isAlive,
  listProcesses,
  type ProcessInfo,
  processInfo,
  processorTime,
  processTree,
} from './process-info.js';
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
} from './stacks/stack.js';
export { accepts, type Readiness, type Started, type StartOptions, start } from './start.js';
export { tempDir } from './temp-dir.js';
export { freePort, hostAddresses, type TcpRequestOptions, tcpRequest, udpRequest } from './traffic/net.js';
export {
  echo,
  type Outcome,
  openConnection,
  outcomeOf,
  pseudoRandom,
  pseudoRandomHash,
  tcpOutcome,
  udpAsk,
} from './traffic/traffic.js';
export { type WaitOptions, waitFor } from './wait-for.js';
