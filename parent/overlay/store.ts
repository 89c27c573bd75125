/**
 * The files of one overlay network, in DATA-DIR/overlay/NET: all that is needed to go on without a registry.
 *
 *   config.json   what the user has decided, and the identity of this host
 *   key           WireGuard's private key; key.next while it is being replaced
 *   lease.json    the subnets of this host, and which process announced itself last
 *   peers.json    the last picture of the other members
 *
 * All are private, and whole at any moment.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { onFile } from '../../protocol/errors/file-error.js';
import * as shapes from '../../protocol/overlay/schemas.js';
import { readRegularFile } from '../../protocol/system/regular-file.js';
import { generateKeys, type KeyPair, publicKeyOf } from '../../protocol/wireguard/keys.js';
import { errnoName } from '../errors.js';
import { OverlayError } from './errors.js';

const configSchema = z.object({
  name: shapes.networkName,
  mode: z.enum(['static', 'etcd']),
  host: shapes.hostId,
  hostName: z.string(),
  networks: z.array(shapes.subnet).min(1).max(2),
  internal: z.boolean(),
  /** Where others reach this host; absent where that is found out. */
  address: z.string().optional(),
  port: z.int(),
  presharedKey: shapes.wireGuardKey.optional(),
  /** What the registry's own configuration had at the join. */
  registry: z
    .object({ prefix: z.int(), own: z.boolean(), first: z.string().optional(), last: z.string().optional() })
    .optional(),
  etcd: z
    .object({
      endpoints: z.array(shapes.endpoint).min(1),
      prefix: shapes.etcdPrefix,
      ca: z.string().optional(),
      caFile: z.string().optional(),
      certFile: z.string().optional(),
      keyFile: z.string().optional(),
      user: z.string().optional(),
      passwordFile: z.string().optional(),
    })
    .optional(),
});

export type OverlayConfig = z.infer<typeof configSchema>;

const leaseSchema = z.object({
  subnets: z.array(shapes.subnet).min(1).max(2),
  /** Of the process that announced this host last, and the machine's boot at that time. */
  instance: z.string().optional(),
  boot: z.string().optional(),
  /** The address that it was announced with. */
  address: z.string().optional(),
  /** When the key was made, in ms since the epoch. */
  keyMade: z.number().optional(),
});

export type Lease = z.infer<typeof leaseSchema>;

const peersSchema = z.object({
  members: z.array(shapes.member).max(shapes.MAX_MEMBERS),
  names: z.array(shapes.memberNames).max(shapes.MAX_MEMBERS),
});

export type SavedPeers = z.infer<typeof peersSchema>;

/** The networks that have files in DATA-DIR/overlay. */
export function storedOverlays(root: string): string[] {
  try {
    return readdirSync(root)
      .filter((name) => shapes.networkName.safeParse(name).success)
      .sort();
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return [];
    throw error;
  }
}

export class OverlayStore {
  readonly directory: string;
  /** What writePeers() has written. */
  #peersText = '';

  constructor(root: string, name: string) {
    this.directory = join(root, name);
  }

  exists(): boolean {
    return statSync(join(this.directory, 'config.json'), { throwIfNoEntry: false }) !== undefined;
  }

  /** Throws OverlayError where it cannot be used. */
  config(): OverlayConfig {
    const config = this.#read('config.json', configSchema);
    if (config) return config;
    const path = join(this.directory, 'config.json');
    throw new OverlayError(`cannot use ${path}: it is missing or invalid`, {
      hint: `remove ${this.directory}, and join again`,
    });
  }

  writeConfig(config: OverlayConfig): void {
    this.#write('config.json', config);
  }

  /** Made where there is none. Throws OverlayError for one that others can read, or that is not a key. */
  keyPair(): KeyPair {
    const path = join(this.directory, 'key');
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats) {
      const pair = generateKeys();
      this.writeKey(pair);
      return pair;
    }
    if ((stats.mode & 0o077) !== 0) {
      throw new OverlayError(`other users have access to the key ${path}`, { hint: `chmod 600 ${path}` });
    }
    try {
      const privateKey = readRegularFile(path).trim();
      return { privateKey, publicKey: publicKeyOf(privateKey) };
    } catch (error) {
      throw new OverlayError(`${path} is not a key`, {
        hint: `remove ${this.directory}, and join again`,
        cause: error,
      });
    }
  }

  writeKey({ privateKey }: KeyPair): void {
    this.#writeText('key', `${privateKey}\n`);
  }

  lease(): Lease | undefined {
    return this.#read('lease.json', leaseSchema);
  }

  writeLease(lease: Lease): void {
    this.#write('lease.json', lease);
  }

  peers(): SavedPeers {
    return this.#read('peers.json', peersSchema) ?? { members: [], names: [] };
  }

  /** Not synced to the disk: after a power failure the one before will do. */
  writePeers(peers: SavedPeers): void {
    const text = textOf(peers);
    if (text === this.#peersText) return;
    this.#writeText('peers.json', text, false);
    this.#peersText = text;
  }

  /** Removes all of it. */
  remove(): void {
    onFile(this.directory, () => rmSync(this.directory, { recursive: true, force: true }));
  }

  #read<T>(name: string, schema: z.ZodType<T>): T | undefined {
    let text: string;
    try {
      text = readRegularFile(join(this.directory, name));
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      return schema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }

  #write(name: string, value: unknown): void {
    this.#writeText(name, textOf(value));
  }

  /** Throws FileError. */
  #writeText(name: string, text: string, durable = true): void {
    const path = join(this.directory, name);
    onFile(path, () => {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      const temporary = `${path}.new`;
      // What a crash has left, or a link, is not written to.
      rmSync(temporary, { force: true });
      const file = openSync(temporary, 'wx', 0o600);
      try {
        writeFileSync(file, text);
        if (durable) fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    });
  }
}

function textOf(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
