import { isAtLeast } from './conflist.js';
import type { CNIResult } from './types.js';

/** A plugin's result of any version in the form of 1.0.0, which is what we keep and show. */
export function toCurrentResult(value: unknown): CNIResult {
  const result = (typeof value === 'object' && value !== null ? value : {}) as CNIResult;
  const version = typeof result.cniVersion === 'string' ? result.cniVersion : '1.0.0';
  if (isAtLeast(version, '1.0.0')) return { ...result, cniVersion: version };
  // Before 1.0.0 addresses said their family, which can be seen.
  const ips = result.ips?.map((ip) => {
    const { version: _, ...rest } = ip as typeof ip & { version?: string };
    return rest;
  });
  return { ...result, cniVersion: '1.0.0', ...(ips ? { ips } : {}) };
}
