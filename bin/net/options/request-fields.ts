/** Replaces the field of a request by its option in an error that the stack reports. */
import { APIError } from '../../../parent/client/errors.js';
import { optionProblem } from '../../common/option-problem.js';

/** Options by field of a request; `*` stands for an index of a list. */
const OPTIONS: Record<string, string> = {
  'network.networks.*.ip': '--ip',
  'network.networks.*.ip6': '--ip6',
  'network.networks.*.mac': '--mac-address',
  'network.networks.*.aliases.*': '--network-alias',
  network: '--network',
  ip: '--ip',
  ip6: '--ip6',
  mac: '--mac-address',
  aliases: '--alias',
  interface: '--driver-opt',
  name: '--name',
  rootfs: '--rootfs',
  bundle: '--bundle',
  command: 'command',
  env: '--env',
  cwd: '--workdir',
  user: '--user',
  hostname: '--hostname',
  domainname: '--domainname',
  mounts: '--volume',
  publish: '--publish',
  autoPublish: '--publish',
  egress: '--allow',
  limit: '--limit',
  dns: '--dns',
  dnsSearch: '--dns-search',
  dnsOptions: '--dns-option',
  addHosts: '--add-host',
  labels: '--label',
  annotations: '--annotation',
  runtime: '--runtime',
  log: '--log-opt',
  seccomp: '--security-opt',
  pidsLimit: '--pids-limit',
  pidFile: '--pidfile',
  sysctls: '--sysctl',
  capAdd: '--cap-add',
  capDrop: '--cap-drop',
  ulimits: '--ulimit',
  shmSize: '--shm-size',
  groupAdd: '--group-add',
  stopSignal: '--stop-signal',
  stopTimeout: '--stop-timeout',
  restart: '--restart',
  driver: '--driver',
  subnets: '--subnet',
  gateways: '--gateway',
  ipRanges: '--ip-range',
  auxAddresses: '--aux-address',
  options: '--opt',
  ipamDriver: '--ipam-driver',
  since: '--since',
  until: '--until',
  tail: '--tail',
};

/** The same error, with the option in place of the field; other errors as they are. */
export function nameOptions(error: unknown, names: Readonly<Record<string, string>> = OPTIONS): unknown {
  if (!(error instanceof APIError) || error.field === undefined) return error;
  const { field, code, hint, message, httpStatus } = error;
  const option = names[field.replaceAll(/\.\d+(?=\.|$)/g, '.*')] ?? names[field.replace(/\..*/s, '')];
  if (option === undefined || !message.startsWith(`${field}: `)) return error;
  return new APIError(httpStatus, optionProblem(option, message.slice(field.length + 2)), { code, hint, cause: error });
}

/** Runs a task whose command has other names than the usual options for some fields. Throws what the task throws. */
export async function withFieldNames<T>(names: Readonly<Record<string, string>>, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw nameOptions(error, names);
  }
}
