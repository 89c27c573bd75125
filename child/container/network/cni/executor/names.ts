import { CNI_NAME } from '../../../../../protocol/text/names.js';
import { CNIError, ERROR_CODES } from './errors.js';
import type { AttachmentId } from './types.js';

/** Maximum length of an interface name on Linux. */
const MAX_IFNAME = 15;

/** @throws CNIError */
export function checkAttachmentId({ containerId, ifname }: AttachmentId): void {
  if (!CNI_NAME.test(containerId)) {
    throw new CNIError(
      ERROR_CODES.badEnvironment,
      `container id ${JSON.stringify(containerId)} does not match ${CNI_NAME.source}`,
    );
  }
  const problem = ifnameProblem(ifname);
  if (problem) {
    throw new CNIError(ERROR_CODES.badEnvironment, `interface name ${JSON.stringify(ifname)} ${problem}`);
  }
}

function ifnameProblem(ifname: string): string | undefined {
  if (ifname === '') return 'is empty';
  if (Buffer.byteLength(ifname) > MAX_IFNAME) return `is longer than ${MAX_IFNAME} bytes`;
  if (ifname === '.' || ifname === '..') return 'is the name of a directory';
  if (/[/:\s\0]/.test(ifname)) return 'has a slash, a colon or white space';
  return undefined;
}

/** @throws CNIError */
export function checkNetworkName(name: string): void {
  if (CNI_NAME.test(name)) return;
  throw new CNIError(ERROR_CODES.badConfig, `network name ${JSON.stringify(name)} does not match ${CNI_NAME.source}`);
}
