/** Types of DNS records by name; others are written as TYPE65. */
export const RECORD_TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  HTTPS: 65,
  ANY: 255,
};

export function recordTypeName(type: number): string {
  return Object.keys(RECORD_TYPES).find((name) => RECORD_TYPES[name] === type) ?? `TYPE${type}`;
}

/** Undefined for one that is unknown. */
export function recordTypeOf(name: string): number | undefined {
  return Object.hasOwn(RECORD_TYPES, name.toUpperCase()) ? RECORD_TYPES[name.toUpperCase()] : undefined;
}
