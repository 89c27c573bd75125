/** The filters of `ps`. */
import type { ContainerReport } from '../../../protocol/containers/types.js';
import { cniSingles } from '../../../protocol/ports/cni-json.js';
import { networkNames } from './container-row.js';
import { networkId } from './container-view.js';
import { type FilterKinds, FilterValueError, labelTest, oneOf, patternOf, type Test } from './filters.js';
import { mountPaths } from './mounts.js';

/** docker's states; some of them do not occur here. */
const STATUSES = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead'];
/** Such as 80, 80/tcp, 80-90/udp. */
const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/;

export const CONTAINER_FILTERS = {
  id: (value) => {
    const pattern = patternOf(value);
    return ({ id }) => pattern.test(id);
  },
  // docker's names begin with a slash.
  name: (value) => {
    const pattern = patternOf(value);
    return ({ name }) => pattern.test(name) || pattern.test(`/${name}`);
  },
  label: (value) => {
    const test = labelTest(value);
    return ({ request }) => test(request.labels);
  },
  status: (value) => {
    const wanted = oneOf(value, STATUSES);
    return ({ status }) => status === wanted;
  },
  exited: (value) => {
    if (!/^-?\d{1,3}$/.test(value)) throw new FilterValueError('expected an exit code');
    return ({ status, exitCode }) => status === 'exited' && exitCode === Number(value);
  },
  network: (value) => (report) =>
    networkNames(report).some((name) => name === value || (value.length >= 3 && networkId(name).startsWith(value))),
  publish: (value) =>
    portTest(value, ({ ports }) => cniSingles(ports).map(({ hostPort, protocol }) => [hostPort, protocol])),
  expose: (value) =>
    portTest(value, ({ request }) =>
      cniSingles(request.publish ?? []).map(({ containerPort, protocol }) => [containerPort, protocol]),
    ),
  volume: (value) => (report) => mountPaths(report).includes(value),
  before: (value) => compare(value, (created, other) => created < other),
  since: (value) => compare(value, (created, other) => created > other),
} satisfies FilterKinds<ContainerReport>;

/** docker's filters that have no meaning without images, health checks and swarms, with the reason. */
export const REFUSED_CONTAINER_FILTERS = {
  ancestor: 'containers run from directories, not from images; hint: --filter label=NAME=value',
  health: 'health checks are not supported',
  isolation: 'it is only supported on Windows',
  'is-task': 'swarm services are not supported',
};

type Ports = (report: ContainerReport) => [number, string][];

function portTest(value: string, ports: Ports): Test<ContainerReport> {
  const match = PORTS.exec(value);
  if (!match) throw new FilterValueError('expected PORT[-PORT][/tcp|udp]');
  const first = Number(match[1]);
  const last = Number(match[2] ?? first);
  const protocol = match[3] ?? 'tcp';
  return (report) => ports(report).some(([port, own]) => port >= first && port <= last && own === protocol);
}

/** Compares with the creation time of another container; matches nothing if that does not exist. */
function compare(value: string, test: (created: string, other: string) => boolean): Test<ContainerReport> {
  return ({ created }, all) => {
    const other = all.find(({ id, name }) => name === value || id.startsWith(value));
    return other !== undefined && test(created, other.created);
  };
}
