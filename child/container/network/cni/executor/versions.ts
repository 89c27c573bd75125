import { CNIError, ERROR_CODES } from './errors.js';
import type { ConfList } from './types.js';

/** The supported versions of the specification, oldest first. */
export const SUPPORTED_VERSIONS: readonly string[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/**
 * The newest supported version that the configuration offers; requests to its plugins use it.
 *
 * @throws CNIError
 */
export function chosenVersion({ name, cniVersion, cniVersions }: ConfList): string {
  const offered = [cniVersion, ...(cniVersions ?? [])];
  const chosen = SUPPORTED_VERSIONS.findLast((version) => offered.includes(version));
  if (chosen !== undefined) return chosen;
  throw new CNIError(
    ERROR_CODES.incompatibleVersion,
    `network ${name} has cniVersion ${offered.join(', ')}; supported are ${SUPPORTED_VERSIONS.join(', ')}`,
  );
}

/** Whether a supported version is `least` or newer. */
export function isAtLeast(version: string, least: string): boolean {
  return SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(least);
}
