/**
 * Answers one query about containers from the files on disk, for rootless-net while no stack runs:
 *
 *   reader.js DATA-DIRECTORY CONFIGURATION-DIRECTORY QUERY
 *
 * The query is a JSON object, see OfflineQuestion; so is the answer on standard output: `result`, or `error` with `status`
 * and the fields of ErrorBody, and `warnings`. A log is written to standard output and standard error as the container wrote
 * it, without an answer unless it fails. It runs as the user, outside of the stack's namespaces, and changes nothing.
 */
import { once } from 'node:events';
import { errorBody, httpStatusOf } from '../protocol/errors/error-body.js';
import type { OfflineAnswer, OfflineQuestion } from '../protocol/wire/offline.js';
import { OfflineContainers } from './container/api/offline.js';

const [dataDir = '', confDir = '', text = '{}'] = process.argv.slice(2);

async function main(): Promise<void> {
  const warnings: string[] = [];
  const answer = async (value: OfflineAnswer) => {
    if (!process.stdout.write(JSON.stringify(value))) await once(process.stdout, 'drain');
  };
  try {
    const question = JSON.parse(text) as OfflineQuestion;
    const containers = await OfflineContainers.read({ dataDir, confDir }, (line) => warnings.push(line));
    if (question.what === 'logs') return await showLog(containers, question);
    await answer({ result: await ask(containers, question), warnings });
  } catch (error) {
    await answer({ error: { status: httpStatusOf(error), ...errorBody(error) }, warnings });
    process.exitCode = 1;
  }
}

async function ask(
  containers: OfflineContainers,
  question: Exclude<OfflineQuestion, { what: 'logs' }>,
): Promise<unknown> {
  switch (question.what) {
    case 'containers':
      return containers.list();
    case 'container':
      return containers.inspect(question.name);
    case 'wait':
      return containers.wait(question.name);
    case 'networks':
      return containers.listNetworks();
    case 'network':
      return containers.inspectNetwork(question.name);
  }
}

async function showLog(
  containers: OfflineContainers,
  { name, request }: Extract<OfflineQuestion, { what: 'logs' }>,
): Promise<void> {
  for await (const { stream, data } of containers.logs(name, request)) {
    if (!process[stream].write(data)) await once(process[stream], 'drain');
  }
}

// The reader of the output has gone.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit(1));

void main();
