/**
 * The file that --learn writes: an egress file (egress-file.ts) with the rules that a run needed. The rules of an earlier file at
 * that path are kept, so that several runs add up.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoName } from '../errors/error-text.js';
import { ExpectedError } from '../errors/expected-error.js';
import { FileError, onFile } from '../errors/file-error.js';
import { IrregularFileError, readRegularFile } from '../system/regular-file.js';
import { quote } from '../text/preview.js';
import { EgressFileError, MAX_RULES, parseEgressFile } from './egress-file.js';
import { EgressRuleError } from './grammar.js';
import { type EgressRule, formatRule } from './rule.js';

const MAX_SIZE = 1 << 20;
const NOTHING = 'allow @none';

/** The path of --learn cannot be used. The message is one line and complete. */
export class LearnedFileError extends ExpectedError {
  override name = 'LearnedFileError';
  override readonly code: string = 'file';
  override readonly httpStatus = 400;
}

export class LearnedFile {
  /**
   * @param path as the user wrote it
   * @param target the same, absolute and without links
   * @param kept rules that the file has already
   */
  private constructor(
    readonly path: string,
    private readonly target: string,
    private readonly kept: readonly string[],
  ) {}

  /** Checks that it can be written; changes nothing. Throws LearnedFileError. */
  static at(path: string): LearnedFile {
    const invalid = (reason: string, hint: string) =>
      new LearnedFileError(`invalid --learn ${quote(path)}: ${reason}`, { hint });
    if (path === '') throw invalid('it is empty', 'the path of a file');
    const directory = dirname(resolve(path));
    if (!statSync(directory, { throwIfNoEntry: false })) {
      throw invalid(`there is no directory ${directory}`, `mkdir -p ${directory}`);
    }
    try {
      const target = onFile(path, () => (existsSync(path) ? realpathSync(path) : resolve(path)));
      const file = new LearnedFile(
        path,
        target,
        onFile(path, () => rulesIn(target)),
      );
      const temporary = file.#temporary();
      closeSync(onFile(path, () => openSync(temporary, 'wx')));
      rmSync(temporary);
      return file;
    } catch (error) {
      if (error instanceof FileError) throw invalid(error.reason, 'a path that can be written');
      if (error instanceof IrregularFileError) throw invalid(error.message, 'the path of a file');
      if (error instanceof EgressFileError || error instanceof EgressRuleError) {
        throw invalid('it exists, and is not an egress file', 'another path, or remove it');
      }
      throw error;
    }
  }

  /** Replaces the file, atomically, by its earlier rules and these. Throws FileError. */
  write(learned: readonly EgressRule[], { full = false } = {}): void {
    const rules = new Set([...this.kept, ...learned.map(formatRule)]);
    if (rules.size > 1) rules.delete(NOTHING);
    const lines = [...(rules.size === 0 ? [NOTHING] : rules)].sort().slice(0, MAX_RULES);
    const temporary = this.#temporary();
    try {
      onFile(this.path, () =>
        writeFileSync(temporary, `${head(this.path, full)}${lines.join('\n')}\n`, { flag: 'wx' }),
      );
      const before = statSync(this.target, { throwIfNoEntry: false });
      if (before) chmodSync(temporary, before.mode & 0o777);
      onFile(this.path, () => renameSync(temporary, this.target));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  #temporary(): string {
    return join(dirname(this.target), `.${basename(this.target)}.${process.pid}.new`);
  }
}

function rulesIn(path: string): string[] {
  try {
    return parseEgressFile(readRegularFile(path, MAX_SIZE), path).map(formatRule);
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return [];
    throw error;
  }
}

function head(path: string, full: boolean): string {
  const incomplete = full ? `# INCOMPLETE: there were more than the ${MAX_RULES} rules that a policy can have.\n` : '';
  return `# What the runs with --learn needed. Read it before you use it: a program may have reached what it should not.
# To allow this, and nothing else: rootless-run --egress-file ${/^[\w./-]+$/.test(path) ? path : 'FILE'} -- COMMAND
${incomplete}`;
}
