/** The seccomp profile of a container. */
import { errnoName, reasonText } from '../../../../protocol/errors/error-text.js';
import { IrregularFileError, readRegularFile } from '../../../../protocol/system/regular-file.js';
import { ContainerError } from '../../errors.js';
import { defaultSeccomp } from './default-profile.js';
import { configOf, parseProfile, type SeccompConfig } from './profile.js';

/** Requests no filter. */
const UNCONFINED = 'unconfined';

/**
 * @param asked path of a profile, or UNCONFINED; undefined for the default one
 * @param capabilities those that the container's programs can have
 * @returns undefined for no filter
 * @throws ContainerError where the file does not exist, or is not a profile
 */
export function seccompOf(
  asked: string | undefined,
  capabilities: readonly string[],
  warn: (line: string) => void,
): SeccompConfig | undefined {
  if (asked === UNCONFINED) return undefined;
  if (asked === undefined) return defaultSeccomp(capabilities, warn);
  try {
    return configOf(parseProfile(readRegularFile(asked), asked), capabilities);
  } catch (error) {
    if (error instanceof ContainerError) throw error;
    if (errnoName(error) === 'ENOENT') throw new ContainerError(`seccomp profile ${asked} does not exist`);
    if (error instanceof IrregularFileError) throw new ContainerError(`invalid seccomp profile: ${error.message}`);
    throw new ContainerError(`cannot read seccomp profile ${asked}: ${reasonText(error)}`);
  }
}
