/** Shows arbitrary values in messages. */

/** Longest text that is shown. */
const MAX_QUOTED = 100;

/** The value as JSON, truncated if it is long. */
export function quote(value: unknown): string {
  let json: string;
  try {
    json = JSON.stringify(value) ?? 'undefined';
  } catch {
    // Nested too deeply (RangeError).
    return Array.isArray(value) ? '[[…]]' : 'what is nested so deeply';
  }
  return json.length > MAX_QUOTED ? `${json.slice(0, MAX_QUOTED)}…` : json;
}
