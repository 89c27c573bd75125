import { CNIError, ERROR_CODES, isObject } from './errors.js';
import type { CNIResult, RawResult } from './types.js';
import { isAtLeast, SUPPORTED_VERSIONS } from './versions.js';

/** The lists of a result, and the key that each of their objects has. */
const LISTS = { interfaces: 'name', ips: 'address', routes: 'dst' } as const;

/** What a plugin answered, with the version that it was asked in where it does not say one. */
export function rawResult(answer: Record<string, unknown>, version: string): RawResult {
  return { ...answer, cniVersion: answer.cniVersion || version };
}

/**
 * A result in the form of version 1.0.0 and later, whatever its own is.
 *
 * @throws CNIError
 */
export function currentResult(raw: RawResult, plugin?: string): CNIResult {
  const { cniVersion } = raw;
  if (typeof cniVersion !== 'string' || !SUPPORTED_VERSIONS.includes(cniVersion)) {
    const text = `its result has cniVersion ${JSON.stringify(cniVersion)}; supported are ${SUPPORTED_VERSIONS.join(', ')}`;
    throw new CNIError(ERROR_CODES.incompatibleVersion, text, { plugin });
  }
  // Some encoders write null for what is not there.
  const result = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
  for (const [key, needed] of Object.entries(LISTS)) {
    const list = result[key];
    if (list === undefined) continue;
    if (!Array.isArray(list) || !list.every((item) => isObject(item) && typeof item[needed] === 'string')) {
      throw new CNIError(ERROR_CODES.decode, `${key} in its result is not a list of objects with ${needed}`, {
        plugin,
      });
    }
  }
  if (result.dns !== undefined && !isObject(result.dns)) {
    throw new CNIError(ERROR_CODES.decode, 'dns in its result is not an object', { plugin });
  }
  const checked = result as CNIResult;
  if (isAtLeast(cniVersion, '1.0.0')) return checked;
  // Before, each address came with its family.
  const ips = checked.ips?.map(({ version: _family, ...ip }: { version?: string; address: string }) => ip);
  return { ...checked, cniVersion: '1.0.0', ...(ips && { ips }) };
}
