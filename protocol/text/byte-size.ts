/** Sizes with units that are powers of 1024, as docker's for memory. */
const UNITS = ['', 'k', 'm', 'g', 't'];

/** Parses a size such as `64m`, `1.5g` or `512kb` into bytes; undefined if it is invalid. */
export function parseByteSize(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) ?([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const size = Math.floor(Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
  return Number.isSafeInteger(size) ? size : undefined;
}
