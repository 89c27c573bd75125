/** What the commands of rootless-net report, and the exit code that results. */
import type { ContainerReport } from '../../protocol/containers/types.js';
import { cniSingles } from '../../protocol/ports/cni-json.js';
import { EXIT, failureOf } from '../common/failure.js';
import { printErrorLine, printFailure } from '../common/print.js';
import { hostPorts } from './docker/ports.js';
import { nameOptions } from './options/request-fields.js';

/** The errors of one command line. */
export class Reporter {
  /** Exit code of an error that has none of its own. */
  #failed: number = EXIT.failed;

  /** To be called by a command that runs a program: its failures have an exit code that differs from the program's. */
  runsProgram(): void {
    this.#failed = EXIT.notStarted;
  }

  /** Runs the task for one name after the other; tries all, and throws the first error at the end. */
  async each(names: readonly string[], task: (name: string) => Promise<void>): Promise<void> {
    let failure: unknown;
    for (const name of names) {
      try {
        await task(name);
      } catch (error) {
        if (failure !== undefined) this.error(error);
        else failure = error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** Reports the ports of the host that were chosen for the container. */
  chosenPorts({ ports, request }: ContainerReport): void {
    const all = cniSingles(request.publish ?? []);
    for (const [index, port] of cniSingles(ports).entries()) {
      const requested = all[index];
      if (requested === undefined || (requested.hostPort !== 0 && requested.hostPortEnd === undefined)) continue;
      printErrorLine(`published ${hostPorts(port).join(', ')} to ${port.containerPort}/${port.protocol}`);
    }
  }

  /** Prints the error as one line, and sets the exit code. */
  error(thrown: unknown): void {
    const failure = failureOf(nameOptions(thrown), this.#failed);
    printFailure(failure);
    if (failure.exitCode !== 0) process.exitCode = failure.exitCode;
  }
}
