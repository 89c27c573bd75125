/**
 * Containers and networks while no stack runs: child/reader.ts reads them from disk, and changes nothing. The methods are
 * those of ContainerClient.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isContainerReport, isFields, isListOf, isNetworkReport, isTexts } from '../../protocol/api/report-shapes.js';
import type { ContainerReport, LogsRequest, NetworkReport } from '../../protocol/containers/types.js';
import { parseErrorBody } from '../../protocol/errors/error-body.js';
import { packageFile } from '../../protocol/paths.js';
import { printable } from '../../protocol/text/printable-text.js';
import type { OfflineQuestion } from '../../protocol/wire/offline.js';
import { checked } from '../client/answer.js';
import { APIError } from '../client/errors.js';

const READER = packageFile('dist/child/reader.js');

export interface OfflineOptions {
  dataDir: string;
  confDir: string;
  /** Gets a line for each file that cannot be parsed. */
  warn: (line: string) => void;
}

/** Every method throws APIError: with status 404 for what does not exist, 409 for what needs a stack. */
export class OfflineContainers {
  constructor(private readonly options: OfflineOptions) {}

  async list(): Promise<ContainerReport[]> {
    return checked(await this.#ask({ what: 'containers' }), isListOf(isContainerReport));
  }

  async inspect(name: string): Promise<ContainerReport> {
    return checked(await this.#ask({ what: 'container', name }), isContainerReport);
  }

  async networks(): Promise<NetworkReport[]> {
    return checked(await this.#ask({ what: 'networks' }), isListOf(isNetworkReport));
  }

  async inspectNetwork(name: string): Promise<NetworkReport> {
    return checked(await this.#ask({ what: 'network', name }), isNetworkReport);
  }

  /** The exit code of one that does not run; null if its end was not observed. */
  async wait(name: string): Promise<number | null> {
    const { exitCode } = checked(await this.#ask({ what: 'wait', name }), isFields);
    return typeof exitCode === 'number' ? exitCode : null;
  }

  /** Copies what a container wrote to standard output and standard error. */
  async printLog(name: string, request: LogsRequest): Promise<void> {
    // Fails first where there is no such container: the reader's answer to `logs` is the log itself.
    const { id } = await this.inspect(name);
    const child = this.#start({ what: 'logs', name: id, request }, 'inherit');
    await once(child, 'exit');
  }

  #start(question: OfflineQuestion, stdout: 'pipe' | 'inherit') {
    const { dataDir, confDir } = this.options;
    const words = [READER, dataDir, confDir, JSON.stringify(question)];
    return spawn(process.execPath, words, { stdio: ['ignore', stdout, 'inherit'] });
  }

  async #ask(question: OfflineQuestion): Promise<unknown> {
    const child = this.#start(question, 'pipe');
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(child, 'close');
    const text = Buffer.concat(chunks).toString('utf8');
    const answer = parse(text);
    if (!isFields(answer))
      throw new APIError(500, `cannot read the containers on disk: ${printable(text) || 'no answer'}`);
    if (isTexts(answer.warnings)) answer.warnings.forEach(this.options.warn);
    const error = parseErrorBody(answer.error);
    if (error && isFields(answer.error)) {
      const { message, code, hint } = error;
      throw new APIError(Number(answer.error.status), message, { code, hint });
    }
    return answer.result;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
