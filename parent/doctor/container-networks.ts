/** The networks of containers by their files: no stack has to run. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isFields } from '../../protocol/api/report-shapes.js';
import { hostLocalRangeSets } from '../../protocol/net/host-local.js';
import { readRegularFile } from '../../protocol/system/regular-file.js';
import type { ContainerNetwork } from './check.js';

const MAX_BYTES = 1024 * 1024;

/** Bridge networks in files of the CNI directory; files that cannot be parsed are skipped. */
export async function containerNetworks(confDir: string): Promise<ContainerNetwork[]> {
  const found: ContainerNetwork[] = [];
  // nerdctl keeps those of its default namespace in a directory of their own.
  for (const directory of [confDir, join(confDir, 'default')]) {
    const names = await readdir(directory).catch(() => []);
    for (const name of names.filter((text) => text.endsWith('.conflist')).sort()) {
      found.push(...networksIn(join(directory, name)));
    }
  }
  return found;
}

function networksIn(file: string): ContainerNetwork[] {
  const list = readJSON(file);
  if (!isFields(list) || typeof list.name !== 'string' || !Array.isArray(list.plugins)) return [];
  const { name } = list;
  const own = isFields(list.rootlessNet);
  const first: unknown = list.plugins[0];
  if (!isFields(first) || first.type !== 'bridge') return [];
  const sets = hostLocalRangeSets(first.ipam);
  return sets.flatMap(([range]) => (range ? [{ name, subnet: range.subnet, own, file }] : []));
}

function readJSON(file: string): unknown {
  try {
    return JSON.parse(readRegularFile(file, MAX_BYTES));
  } catch {
    return undefined;
  }
}
