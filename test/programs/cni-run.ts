/**
 * Runs one operation of the CNI executor where it is started: node cni-run.js JSON, with the options of CNI as
 * `options`, the name of its method as `verb`, and the arguments of that as `args`. Prints {"value"} or, where it fails,
 * {"error": {"code", "message"}}.
 */
import { CNI, type CNIOptions } from '../../child/container/network/cni/executor/chain.js';
import { CNIError } from '../../child/container/network/cni/executor/errors.js';
import type { AttachmentId, ConfList, Runtime } from '../../child/container/network/cni/executor/types.js';

type Operation = { options: CNIOptions } & (
  | { verb: 'add' | 'del' | 'check'; args: [ConfList, AttachmentId, Runtime] }
  | { verb: 'gc'; args: [ConfList, AttachmentId[]] }
  | { verb: 'status'; args: [ConfList] }
  | { verb: 'version'; args: [string] }
);

const [json = ''] = process.argv.slice(2);

function perform(operation: Operation): Promise<unknown> {
  const cni = new CNI(operation.options);
  switch (operation.verb) {
    case 'gc':
      return cni.gc(...operation.args);
    case 'status':
      return cni.status(...operation.args);
    case 'version':
      return cni.version(...operation.args);
    default:
      return cni[operation.verb](...operation.args);
  }
}

try {
  const value = await perform(JSON.parse(json) as Operation);
  process.stdout.write(JSON.stringify({ value }));
} catch (error) {
  if (!(error instanceof CNIError)) throw error;
  process.stdout.write(JSON.stringify({ error: { code: error.cniCode, message: error.message } }));
}
