/**
 * Type guards for a stack's answers. Reports on containers and networks come from inside the namespaces, and are not trusted.
 * The guards cover the fields that commands read, not all of the types: RootlessKit's answers have fewer.
 */

import type {
  ContainerReport,
  GarbageReport,
  NameQueryReport,
  NetworkNamesReport,
  NetworkReport,
} from '../containers/types.js';
import type { Flow, Info, PortReport } from './types.js';

type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isListOf<T>(test: (value: unknown) => value is T): (value: unknown) => value is T[] {
  return (value): value is T[] => Array.isArray(value) && value.every(test);
}

export const isTexts = isListOf(isText);

export function isInfo(value: unknown): value is Info {
  return isFields(value) && isText(value.apiVersion);
}

export function isPortReport(value: unknown): value is PortReport {
  return isFields(value) && isFields(value.spec);
}

export function isFlow(value: unknown): value is Flow {
  if (!isFields(value)) return false;
  const { program, name, container, state, source } = value;
  return (
    ['protocol', 'direction', 'client', 'destination', 'host', 'verdict'].every((field) => isText(value[field])) &&
    ['connection', 'bytesSent', 'bytesReceived', 'since'].every((field) => isNumber(value[field])) &&
    [name, container, state, source].every(optional(isText)) &&
    optional(isFields)(program)
  );
}

type Test = (value: unknown) => boolean;

/** For fields that may be absent. */
export const optional =
  (test: Test): Test =>
  (value) =>
    value === undefined || test(value);

function isTextByName(value: unknown): boolean {
  return isFields(value) && Object.values(value).every(isText);
}

export function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}

export function isFlag(value: unknown): boolean {
  return typeof value === 'boolean';
}

/** Whether each of the named fields passes its test. */
export const hasFields =
  <T>(tests: Readonly<Record<string, Test>>) =>
  (value: unknown): value is T =>
    isFields(value) && Object.entries(tests).every(([name, test]) => test(value[name]));

const isPublishedPort = hasFields<ContainerReport['ports'][number]>({
  hostIP: isText,
  hostPort: isNumber,
  containerPort: isNumber,
  protocol: isText,
  count: optional(isNumber),
});

const isAttachment = hasFields<ContainerReport['attachments'][number]>({ network: isText, mac: isText, ips: isTexts });

const isAttachmentRequest = hasFields({
  network: isText,
  ip: optional(isText),
  ip6: optional(isText),
  aliases: optional(isTexts),
});

function isNetworkMode(value: unknown): boolean {
  if (!isFields(value) || !isText(value.mode)) return false;
  if (value.mode === 'networks') return isListOf(isAttachmentRequest)(value.networks);
  if (value.mode === 'ns') return isText(value.path);
  return value.mode !== 'container' || isText(value.container);
}

function isMount(value: unknown): value is ContainerReport['request']['mounts'][number] {
  if (!isFields(value) || !isText(value.target)) return false;
  return (value.type !== 'bind' || isText(value.source)) && (value.options === undefined || isTexts(value.options));
}

const isRequest = hasFields<ContainerReport['request']>({
  network: isNetworkMode,
  rootfs: optional(isText),
  bundle: optional(isText),
  seccomp: optional(isText),
  command: optional(isTexts),
  mounts: optional(isListOf(isMount)),
  labels: optional(isTextByName),
  sysctls: optional(isTextByName),
  publish: optional(isListOf(isPublishedPort)),
  addHosts: optional(isListOf(hasFields({ host: isText, ip: isText }))),
  ulimits: optional(isListOf(isFields)),
  restart: optional(isFields),
  log: optional(hasFields({ maxSize: isNumber, maxFiles: isNumber })),
  ...Object.fromEntries(
    ['env', 'dns', 'dnsSearch', 'dnsOptions', 'capAdd', 'capDrop', 'groupAdd', 'egress'].map((name) => [
      name,
      optional(isTexts),
    ]),
  ),
});

export const isContainerReport = hasFields<ContainerReport>({
  id: isText,
  name: isText,
  status: isText,
  pid: optional(isNumber),
  exitCode: optional(isNumber),
  request: isRequest,
  ports: isListOf(isPublishedPort),
  attachments: isListOf(isAttachment),
  results: optional(isFields),
  sharedBy: optional(isTexts),
  ...Object.fromEntries(
    ['created', 'started', 'finished', 'hostname', 'reason', 'failure'].map((name) => [name, optional(isText)]),
  ),
  directory: optional(isText),
});

export const isNetworkReport = hasFields<NetworkReport>({
  id: isText,
  name: isText,
  driver: isText,
  file: optional(isText),
  created: optional(isText),
  own: optional(isFlag),
  internal: optional(isFlag),
  egress: optional(isTexts),
  subnets: isListOf(hasFields({ subnet: isText, gateway: optional(isText) })),
  labels: optional(isTextByName),
  containers: optional(
    (value) => isFields(value) && Object.values(value).every(hasFields({ name: isText, mac: isText, ips: isTexts })),
  ),
});

export const isNetworkNamesReport = hasFields<NetworkNamesReport>({
  network: isText,
  servers: isTexts,
  problem: isText,
  answers: (value) => isFields(value) && Object.values(value).every(isNumber),
});

export const isNameQueryReport = hasFields<NameQueryReport>({
  name: isText,
  type: isText,
  status: isText,
  records: isListOf(hasFields({ name: isText, type: isText, ttl: isNumber, data: isText })),
  from: isText,
  reason: isText,
});

export function isGarbageReport(value: unknown): value is GarbageReport {
  return isFields(value) && isText(value.kind) && isText(value.what);
}
