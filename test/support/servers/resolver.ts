/** Names with what dnsmasq(8) has for them: addresses, or the alias that they are. */
export type Names = Readonly<Record<string, readonly string[] | { alias: string }>>;

/** Starts dnsmasq in the foreground, at 127.0.0.1:53. It knows these names; those below .test that are missing do not exist. */
export function resolver(names: Names, ttl = 1): string[] {
  const records = Object.entries(names).map(([name, value]) =>
    'alias' in value ? `--cname=${name},${value.alias}` : `--host-record=${[name, ...value].join()}`,
  );
  const own = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--pid-file=',
    '--user=root',
  ];
  return [
    'dnsmasq',
    ...own,
    '--listen-address=127.0.0.1',
    '--bind-interfaces',
    '--local=/test/',
    `--local-ttl=${ttl}`,
    ...records,
  ];
}
