/** Files of egress rules (--egress-file): one `allow RULE` or `deny RULE` a line, `#` begins a comment. */
import { ExpectedError } from '../errors/expected-error.js';
import { onFile } from '../errors/file-error.js';
import { IrregularFileError, readRegularFile } from '../system/regular-file.js';
import { quote } from '../text/preview.js';
import { parseRuleLine } from './grammar.js';
import type { EgressRule } from './rule.js';

/** Largest file, in bytes. */
const MAX_SIZE = 1 << 20;
/** Most rules of a policy; native/src/policy/policy_model.h has the same. */
export const MAX_RULES = 16_384;

/** An egress file that cannot be read as such. The message is one line and complete. */
export class EgressFileError extends ExpectedError {
  override name = 'EgressFileError';
  override readonly code: string = 'invalid-rule';
  override readonly httpStatus = 400;
}

/**
 * Reads and parses an egress file; it may be a pipe.
 * @throws FileError, EgressFileError, EgressRuleError
 */
export function readEgressFile(path: string): EgressRule[] {
  try {
    const rules = parseEgressFile(
      onFile(path, () => readRegularFile(path, MAX_SIZE, { pipes: true })),
      path,
    );
    // It would be no policy, as after a generator that has failed.
    if (rules.length === 0) {
      throw new EgressFileError(
        `Invalid egress file ${quote(path)}: it has no rules; hint: to allow nothing: allow @none`,
      );
    }
    return rules;
  } catch (error) {
    if (!(error instanceof IrregularFileError)) throw error;
    throw new EgressFileError(`Invalid egress file ${quote(path)}: ${error.message}`, { cause: error });
  }
}

/**
 * Parses the text of an egress file.
 * @param path for messages
 * @throws EgressFileError, EgressRuleError
 */
export function parseEgressFile(text: string, path: string): EgressRule[] {
  const rules: EgressRule[] = [];
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    const origin = `${path}, line ${index + 1}`;
    const content = line.replace(/(^|\s)#.*$/, '').trim();
    if (content === '') continue;
    const rule = parseRuleLine(content, origin);
    if (!rule) {
      throw new EgressFileError(`Invalid line ${quote(content)} (${origin}): expected "allow RULE" or "deny RULE"`);
    }
    rules.push(rule);
    if (rules.length > MAX_RULES) {
      throw new EgressFileError(`Invalid egress file ${quote(path)}: expected at most ${MAX_RULES} rules`);
    }
  }
  return rules;
}
