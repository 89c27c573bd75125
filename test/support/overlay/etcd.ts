// Real etcds on loopback, with TLS in both directions where a test wants that.
import { join } from 'node:path';
import { EtcdClient, type EtcdOptions } from '../../../parent/overlay/etcd/client.js';
import { run } from '../run.js';
import { type Started, start } from '../start.js';
import { tempDir } from '../temp-dir.js';
import { freePort } from '../traffic/net.js';

export interface Etcds extends AsyncDisposable {
  /** How a client reaches all of them. */
  readonly options: EtcdOptions;
  readonly client: EtcdClient;
  /** Kills one, as SIGKILL does. */
  kill(index: number): Promise<void>;
  /** Starts it again, with its data. */
  restart(index: number): Promise<void>;
  /** What one has logged since it was started. */
  log(index: number): string;
  /** Which one is the leader. */
  leader(): Promise<number>;
}

/** It has a leader then. */
const READY = /serving client traffic|serving (insecure )?client requests/;

interface EtcdsOptions {
  tls?: boolean;
  /** The last part of the first one's address, 127.0.8.FIRST. */
  first?: number;
  /** Further options of etcd. */
  args?: readonly string[];
}

export async function startEtcds(
  count: number,
  { tls = false, first = 11, args = [] }: EtcdsOptions = {},
): Promise<Etcds> {
  const directory = tempDir();
  const nodes = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const ip = `127.0.8.${first + index}`;
      return { ip, port: await freePort(ip), peerPort: await freePort(ip), name: `n${index}` };
    }),
  );
  if (tls)
    await makeCertificates(
      directory,
      nodes.map(({ ip }) => ip),
    );
  const file = (name: string) => join(directory, name);
  const cluster = nodes.map(({ name, ip, peerPort }) => `${name}=http://${ip}:${peerPort}`).join(',');
  const scheme = tls ? 'https' : 'http';
  const secure = tls
    ? [
        '--cert-file',
        file('server.pem'),
        '--key-file',
        file('server.key'),
        '--client-cert-auth',
        '--trusted-ca-file',
        file('ca.pem'),
      ]
    : [];
  const launch = async (index: number): Promise<Started> => {
    const { name, ip, port, peerPort } = nodes[index] ?? { name: '', ip: '', port: 0, peerPort: 0 };
    const url = `${scheme}://${ip}:${port}`;
    const peer = `http://${ip}:${peerPort}`;
    return start(
      'etcd',
      [
        ...['--name', name, '--data-dir', file(name), '--logger', 'zap'],
        ...['--listen-client-urls', url, '--advertise-client-urls', url],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', cluster, '--initial-cluster-state', 'new'],
        // One machine: all answer at once.
        ...['--heartbeat-interval', '50', '--election-timeout', '500'],
        ...secure,
        ...args,
      ],
      { ready: { output: READY } },
    );
  };
  const running: (Started | undefined)[] = await Promise.all(nodes.map((_, index) => launch(index)));
  const options: EtcdOptions = {
    endpoints: nodes.map(({ ip, port }) => `${scheme}://${ip}:${port}`),
    ...(tls ? { caFile: file('ca.pem'), certFile: file('client.pem'), keyFile: file('client.key') } : {}),
  };
  const client = new EtcdClient(options);
  return {
    options,
    client,
    async kill(index) {
      await running[index]?.stop('SIGKILL');
      running[index] = undefined;
    },
    async restart(index) {
      running[index] = await launch(index);
    },
    log: (index) => running[index]?.output() ?? '',
    async leader() {
      for (const [index, endpoint] of options.endpoints.entries()) {
        if (!running[index]) continue;
        const one = new EtcdClient({ ...options, endpoints: [endpoint] });
        const status = await one.call('/v3/maintenance/status', {}).finally(() => one.close());
        const { member_id: own } = status.header as { member_id?: string };
        if (status.leader === own) return index;
      }
      return -1;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await Promise.all(running.map((node) => node?.stop('SIGKILL')));
    },
  };
}

/** An authority, and certificates of it for servers at these addresses and for a client. */
async function makeCertificates(directory: string, ips: readonly string[]): Promise<void> {
  const names = ips.map((ip) => `IP:${ip}`).join(',');
  const openssl = async (...args: string[]) => {
    const { code, stderr } = await run('openssl', args, { cwd: directory });
    if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test authority',
    '-days',
    '2',
  );
  for (const [name, extensions] of [
    // etcd's gateway is a client of etcd itself, with the server's certificate.
    ['server', [`subjectAltName=${names}`, 'extendedKeyUsage=serverAuth,clientAuth']],
    ['client', ['extendedKeyUsage=clientAuth']],
  ] as const) {
    await openssl(
      'req',
      ...['-x509', '-CA', 'ca.pem', '-CAkey', 'ca.key', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`],
      ...['-subj', '/', '-days', '2', ...extensions.flatMap((text) => ['-addext', text])],
    );
  }
}
