import { isFields } from '../../../../../protocol/api/report-shapes.js';

/** The JSON object in a text; undefined for anything else. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Untrusted text of a plugin, without line breaks and control characters, for one line of a message. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}
