import { isFields } from '../../../../../protocol/api/report-shapes.js';
import { CNIError, ERROR_CODES } from './errors.js';
import type { CNIResult, RawResult } from './types.js';
import { isAtLeast, SUPPORTED_VERSIONS } from './versions.js';

/** The lists of a result, and the key that each of their objects has. */
const LISTS = { interfaces: 'name', ips: 'address', routes: 'dst' } as const;

/** The result of a plugin, with the version of the request where it contains none. */
export function rawResult(answer: Record<string, unknown>, version: string): RawResult {
  return { ...answer, cniVersion: answer.cniVersion || version };
}

/**
 * Converts a result of any version to the form of version 1.0.0 and later.
 *
 * @throws CNIError
 */
export function currentResult(raw: RawResult, plugin?: string): CNIResult {
  const { cniVersion } = raw;
  if (typeof cniVersion !== 'string' || !SUPPORTED_VERSIONS.includes(cniVersion)) {
    const text = `its result has cniVersion ${JSON.stringify(cniVersion)}; supported are ${SUPPORTED_VERSIONS.join(', ')}`;
    throw new CNIError(ERROR_CODES.incompatibleVersion, text, { plugin });
  }
  // Some encoders write null for absent values.
  const result = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
  for (const [key, needed] of Object.entries(LISTS)) {
    const list = result[key];
    if (list === undefined) continue;
    if (!Array.isArray(list) || !list.every((item) => isFields(item) && typeof item[needed] === 'string')) {
      throw new CNIError(ERROR_CODES.decode, `${key} in its result is not a list of objects with ${needed}`, {
        plugin,
      });
    }
  }
  if (result.dns !== undefined && !isFields(result.dns)) {
    throw new CNIError(ERROR_CODES.decode, 'dns in its result is not an object', { plugin });
  }
  const checked = result as CNIResult;
  if (isAtLeast(cniVersion, '1.0.0')) return checked;
  // Earlier versions give the family of each address.
  const ips = checked.ips?.map(({ version: _family, ...ip }: { version?: string; address: string }) => ip);
  return { ...checked, cniVersion: '1.0.0', ...(ips && { ips }) };
}
