// Command lines of rootless-net that cannot be carried out, each with its exit code and its line. There is nothing yet.
import { NET_CONTAINER_ROWS } from './net-container-rows.js';
import { NET_NETWORK_ROWS } from './net-network-rows.js';
import { NET_RUN_NETWORK_ROWS } from './net-run-network-rows.js';
import { NET_RUN_ROWS } from './net-run-rows.js';
import type { Row } from './row.js';

export const NET_ROWS: readonly Row[] = [
  ['rootless-net foo', 125, "unknown command 'foo'; hint: rootless-net --help"],
  ['rootless-net --foo ps', 125, "unknown option '--foo'; hint: rootless-net --help"],
  ['rootless-net --state-dir', 125, "option '--state-dir <path>' argument missing; hint: rootless-net --help"],
  ['rootless-net --stack x --state-dir y ps', 125, '--state-dir and --stack are mutually exclusive'],
  ...NET_RUN_NETWORK_ROWS,
  ...NET_RUN_ROWS,
  ...NET_CONTAINER_ROWS,
  ...NET_NETWORK_ROWS,
];
