/** Who has answered a DNS query, in the order of Origin in native/src/dns/server/query_reports.h. */
export const ORIGINS = [
  'own',
  'missing',
  'internal',
  'host',
  'servers',
  'malformed',
  'refused',
  'limited',
  'lost',
] as const;
export type Origin = (typeof ORIGINS)[number];

/** The engine's counters by who has answered. */
export function answersOf(counters: readonly number[]): Record<Origin, number> {
  const answers = Object.fromEntries(ORIGINS.map((origin, i) => [origin, counters[i] ?? 0]));
  return answers as Record<Origin, number>;
}
