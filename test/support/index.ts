// What the tests share. Import from here.
export { freePort, hostAddresses, type TcpRequestOptions, tcpRequest, udpRequest } from './net.js';
export { binPath, repoRoot } from './paths.js';
export { describeProcess, isAlive, listProcesses, type ProcessInfo, processInfo, processTree } from './process-info.js';
export { type RunOptions, type RunResult, run } from './run.js';
export { accepts, type Readiness, type Started, type StartOptions, start } from './start.js';
export { tempDir } from './temp-dir.js';
export { type WaitOptions, waitFor } from './wait-for.js';
