/**
 * Network configuration lists as files (CNI specification, section 1), and which version of the specification is spoken.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CNIError } from './errors.js';
import type { ConfList } from './types.js';

/** Oldest first. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const CONTAINER_ID = NAME;
/** A name that the kernel takes for a device. */
const IFNAME = /^(?!\.{1,2}$)[^/:\s]{1,15}$/;

const plugin = z.looseObject({
  type: z.string().min(1),
  capabilities: z.record(z.string(), z.boolean()).optional(),
  ipam: z.looseObject({}).optional(),
});
const list = z.looseObject({
  cniVersion: z.string().default('0.3.1'),
  cniVersions: z.array(z.string()).optional(),
  name: z.string().regex(NAME),
  disableCheck: z.boolean().optional(),
  disableGC: z.boolean().optional(),
  plugins: z.array(plugin).min(1),
});

/** Reads a list; a single plugin's configuration counts as a list of one. Throws CNIError. */
export function parseConfList(text: string, what: string): ConfList {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CNIError(6, `${what} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = list.safeParse(asList(value));
  if (parsed.success) return parsed.data as ConfList;
  const issue = parsed.error.issues[0];
  throw new CNIError(7, `${what} is no network configuration: ${issue?.path.join('.')}: ${issue?.message}`);
}

function asList(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || 'plugins' in value || !('type' in value)) return value;
  const { cniVersion, name, ...rest } = value as Record<string, unknown>;
  return { ...(cniVersion === undefined ? {} : { cniVersion }), name, plugins: [rest] };
}

/** All lists in a directory, by file name, and what is wrong with files that are none. */
export async function readConfDir(
  directory: string,
): Promise<{ lists: { file: string; list: ConfList }[]; problems: { file: string; what: string }[] }> {
  const names: string[] = await readdir(directory).catch(() => []);
  const lists: { file: string; list: ConfList }[] = [];
  const problems: { file: string; what: string }[] = [];
  for (const name of names.filter((entry) => /\.(conflist|conf|json)$/.test(entry)).sort()) {
    const file = join(directory, name);
    try {
      lists.push({ file, list: parseConfList(await readFile(file, 'utf8'), file) });
    } catch (error) {
      problems.push({ file, what: error instanceof Error ? error.message : String(error) });
    }
  }
  return { lists, problems };
}

/** The highest version that both sides know. Throws CNIError. */
export function chooseVersion(conf: ConfList): string {
  const offered = [conf.cniVersion, ...(conf.cniVersions ?? [])];
  const chosen = [...SUPPORTED_VERSIONS].reverse().find((version) => offered.includes(version));
  if (chosen === undefined) {
    throw new CNIError(1, `the network ${conf.name} asks for version ${offered.join(', ')} of CNI; known are ${SUPPORTED_VERSIONS.join(', ')}`);
  }
  return chosen;
}

/** Whether a version is that one or later. */
export function isAtLeast(version: string, least: (typeof SUPPORTED_VERSIONS)[number]): boolean {
  const known: readonly string[] = SUPPORTED_VERSIONS;
  return known.indexOf(version) >= known.indexOf(least);
}

/** Throws CNIError with the code of invalid environment variables. */
export function checkAttachmentId(containerId: string, ifname: string): void {
  if (!CONTAINER_ID.test(containerId)) throw new CNIError(4, `${JSON.stringify(containerId)} is no container id`);
  if (!IFNAME.test(ifname)) throw new CNIError(4, `${JSON.stringify(ifname)} is no name of a device (15 characters at most)`);
}
