/** The part of the API about several ports in one request, an addition to RootlessKit's: all or none are added or removed. */
import { ExpectedError } from '../../protocol/errors/expected-error.js';
import { type PortMapping, type PublishedPort, part, singles } from '../../protocol/ports/port-mapping.js';
import { RangeList } from '../../protocol/ports/range-list.js';
import { type PortStatus, parsePortSpecJSON, portStatusOf } from '../../protocol/ports/rootlesskit-json.js';
import { printable } from '../errors.js';
import { PortError, PortListError, UnknownPortError } from '../port/errors.js';
import { driverOf, keeperOf, type PortsAPIOptions } from './ports.js';

/** Entries of one request, each of which may be a range. */
export const MAX_ENTRIES = 10_000;

/** Consecutive ids. */
interface IdRange {
  id: number;
  count: number;
}

/** @param list body of the request. Throws PortError. */
export async function addPorts(
  options: PortsAPIOptions,
  list: readonly unknown[],
  persistent: boolean,
): Promise<PortStatus[]> {
  const driver = driverOf(options);
  const keeper = persistent ? keeperOf(options) : undefined;
  const ports = await driver.addAll(mappingsOf(list));
  try {
    await keeper?.keep(...ports);
  } catch (error) {
    for (const { id, count } of ports) await driver.remove(id, count);
    throw error;
  }
  return ports.map(portStatusOf);
}

/** Throws PortListError, and PortError for a list that is empty or too long. */
function mappingsOf(list: readonly unknown[]): PortMapping[] {
  const count = list.length;
  if (count === 0) throw new PortError('the list of ports is empty');
  if (count > MAX_ENTRIES) throw new PortError(`the list has ${count} ports; ${MAX_ENTRIES} can be added at a time`);
  return list.map((entry, index) => {
    try {
      return parsePortSpecJSON(entry);
    } catch (error) {
      throw error instanceof ExpectedError ? new PortListError(error, { index, count }) : error;
    }
  });
}

/**
 * @param text ids and ranges of them, such as `1-1000,1007`
 * @throws PortError
 */
export async function removePorts(options: PortsAPIOptions, text: string): Promise<void> {
  const driver = driverOf(options);
  const { persistentPorts, waiting } = options;
  const ranges = parseIds(text);
  const published = byId(driver.list());
  const waited = byId(waiting?.list() ?? []);
  const removed: PortMapping[] = [];
  for (const { id, count } of ranges) {
    const ports = [...published.within(id, count), ...waited.within(id, count)].sort((a, b) => a.id - b.id);
    let next = id;
    for (const port of ports) if (port.id === next) next += port.count;
    if (next < id + count) throw new UnknownPortError(next, '; none was removed');
    removed.push(...ports);
  }
  for (const { id, count } of ranges) {
    for (const port of singles(waited.within(id, count))) waiting?.remove(port.id);
    if (published.within(id, count).length > 0) await driver.remove(id, count);
  }
  await persistentPorts?.forget(...removed);
}

function parseIds(text: string): IdRange[] {
  const given = new RangeList<IdRange>({
    first: ({ id }) => id,
    part: (range, offset, count) => ({ id: range.id + offset, count }),
  });
  return text.split(',').map((entry) => {
    const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(entry) ?? [];
    if (from === undefined)
      throw new PortError(`bad id ${printable(entry)}: neither a number nor a range, such as 1-1000`);
    const id = Number(from);
    const count = Number(to) - id + 1;
    if (count < 1) throw new PortError(`bad ids ${entry}: the range is reversed`);
    for (const both of given.within(id, count)) throw new PortError(`id ${both.id} is given twice`);
    const range = { id, count };
    given.add(range);
    return range;
  });
}

function byId(ports: readonly PublishedPort[]): RangeList<PublishedPort> {
  const list = new RangeList<PublishedPort>({ first: ({ id }) => id, part });
  for (const port of ports) list.add(port);
  return list;
}
