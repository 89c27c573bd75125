/**
 * Files of network configurations.
 *
 * Import this module only where one is read: zod takes longer to load than a plugin takes to run.
 */

import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import * as z from 'zod';
import { codedReasonText, errnoName, errorText } from '../../../../../protocol/errors/error-text.js';
import { readRegularFile } from '../../../../../protocol/system/regular-file.js';
import { CNI_NAME } from '../../../../../protocol/text/names.js';
import { CNIError, ERROR_CODES } from './errors.js';
import { parseObject } from './json.js';
import type { ConfList } from './types.js';
import { chosenVersion } from './versions.js';

/** A network and its file. */
export interface ConfFile {
  file: string;
  list: ConfList;
}

/** A file that does not define a network, and why. */
export interface ConfProblem {
  file: string;
  what: string;
  /** The name of the network, where it could be read. */
  name?: string;
}

const EXTENSIONS = ['.conf', '.conflist', '.json'];

const text = z.string({ error: 'is not a string' });
const flag = z.boolean({ error: 'is not true or false' });

const PLUGIN_SCHEMA = z.looseObject(
  {
    // It becomes the name of a program in the plugin directories.
    type: text.regex(/^[^/\0]+$/, { error: 'is not the name of a plugin' }),
    capabilities: z.record(z.string(), flag, { error: 'is not an object' }).optional(),
    ipam: z.record(z.string(), z.unknown(), { error: 'is not an object' }).optional(),
  },
  { error: 'is not an object' },
);

const LIST_SCHEMA = z.looseObject(
  {
    cniVersion: text,
    cniVersions: z.array(text, { error: 'is not a list' }).optional(),
    name: text.regex(CNI_NAME, { error: `does not match ${CNI_NAME.source}` }),
    disableCheck: flag.optional(),
    disableGC: flag.optional(),
    plugins: z.array(PLUGIN_SCHEMA, { error: 'is not a list' }).min(1, { error: 'is empty' }),
  },
  { error: 'is not an object' },
);

/**
 * A network configuration list, or the configuration of a single plugin, which becomes a list of one.
 *
 * @throws CNIError
 */
export function parseConfList(json: string): ConfList {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new CNIError(ERROR_CODES.decode, `the network configuration is not JSON: ${errorText(error)}`);
  }
  const list = isSinglePlugin(value) ? listOfOne(value) : value;
  const { error } = LIST_SCHEMA.safeParse(list);
  if (error) throw new CNIError(ERROR_CODES.badConfig, `invalid network configuration: ${describe(error)}`);
  // The value itself, not the output of the schema: the plugins get it unchanged.
  const checked = list as ConfList;
  chosenVersion(checked);
  return checked;
}

/**
 * The networks of these directories, sorted by the names of their files; of two with the same name the first is used, and
 * the other is a problem. A missing directory counts as empty.
 */
export async function readConfDir(dirs: readonly string[]): Promise<{ networks: ConfFile[]; problems: ConfProblem[] }> {
  const networks: ConfFile[] = [];
  const problems: ConfProblem[] = [];
  const found: { name: string; file: string }[] = [];
  for (const dir of dirs) {
    try {
      const names = readdirSync(dir).filter((name) => EXTENSIONS.includes(extname(name)));
      found.push(...names.map((name) => ({ name, file: join(dir, name) })));
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') problems.push({ file: dir, what: codedReasonText(error) });
    }
  }
  // By bytes, like other CNI runtimes, not by locale. The sort is stable: the order of directories is kept.
  found.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const { file } of found) {
    let json = '';
    const problem = (what: string) => {
      const name = parseObject(json)?.name;
      problems.push({ file, what, ...(typeof name === 'string' && { name }) });
    };
    try {
      json = readRegularFile(file);
      const list = parseConfList(json);
      const other = networks.find(({ list: { name } }) => name === list.name);
      if (other) problem(`network ${list.name} is in ${other.file} already`);
      else networks.push({ file, list });
    } catch (error) {
      problem(error instanceof CNIError ? error.msg : codedReasonText(error));
    }
  }
  return { networks, problems };
}

function isSinglePlugin(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && 'type' in value && !('plugins' in value);
}

function listOfOne(plugin: Record<string, unknown>): Record<string, unknown> {
  const { cniVersion, cniVersions, name } = plugin;
  return { cniVersion, ...(cniVersions !== undefined && { cniVersions }), name, plugins: [plugin] };
}

/** The first problem: `plugins.0.type is not a string`. */
function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return 'it does not match the schema';
  return `${issue.path.length > 0 ? issue.path.map(String).join('.') : 'it'} ${issue.message}`;
}
