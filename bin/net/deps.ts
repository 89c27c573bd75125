import type { Reporter } from './report.js';
import type { StackAccess } from './stack-access.js';

/** What the commands of rootless-net are made with. */
export interface NetDeps {
  stack: StackAccess;
  report: Reporter;
}
