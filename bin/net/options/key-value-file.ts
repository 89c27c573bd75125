/** Files of --env-file and --label-file in docker's format: one entry per line, without quotes or escapes. */
import { UsageError } from '../../../parent/errors.js';
import { errnoText } from '../../../protocol/errors/errno-text.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { IrregularFileError, readRegularFile } from '../../../protocol/system/regular-file.js';
import { optionProblem } from '../../common/option-problem.js';

export interface KeyValueFile {
  /** Name of the option, for messages. */
  option: string;
  path: string;
  /** The entry for a line without `=`; undefined for none. */
  alone: (name: string) => string | undefined;
}

/**
 * The entries `NAME=value` in their order. A line that begins with `#` is a comment; spaces before a name are ignored; the
 * value is everything after the first `=`.
 *
 * @throws UsageError with the file, and the number of the line
 */
export function readKeyValueFile({ option, path, alone }: KeyValueFile): string[] {
  const lines = readText(option, path)
    .replace(/^\uFEFF/, '')
    .split('\n');
  return lines.flatMap((raw, index) => {
    const fail = (problem: string): never => {
      throw new UsageError(`invalid ${option} ${path}:${index + 1}: ${problem}`);
    };
    const line = raw.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) return [];
    if (line.includes('\0')) fail('the line contains a NUL');
    // The replacement character of invalid UTF-8.
    if (line.includes('\uFFFD')) fail('the line is not UTF-8');
    const equals = line.indexOf('=');
    const name = equals < 0 ? line : line.slice(0, equals);
    if (name === '') fail('missing name before the "="');
    if (/\s/.test(name)) fail(`the name ${JSON.stringify(name.slice(0, 60))} contains whitespace`);
    if (equals >= 0) return [line];
    const whole = alone(name);
    return whole === undefined ? [] : [whole];
  });
}

/** Throws UsageError. */
function readText(option: string, path: string): string {
  try {
    // Pipes as well, for the shell's <(command).
    return readRegularFile(path, undefined, { pipes: true });
  } catch (error) {
    if (error instanceof IrregularFileError) throw new UsageError(optionProblem(option, error.message));
    const code = errnoName(error);
    if (code === '') throw error;
    throw new UsageError(`cannot read ${option} ${path}: ${errnoText(code)}`);
  }
}
