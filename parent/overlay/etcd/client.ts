/**
 * A client of etcd 3.4 and later, by its JSON gateway (grpc-gateway): etcd's documentation, "gRPC gateway". 64-bit numbers
 * are texts there, keys and values base64.
 *
 * Theory of operation. A call goes to the endpoint that answered last. It has CALL_MS: while etcd elects a leader, a call hangs
 * for 7 s though the others answer at once. Then, and after any failure that is not an answer, the next endpoint gets it,
 * each one once, whatever calls at the same time do. What is written is conditional (a transaction that compares) or can be repeated, so that a call that was
 * given up and yet carried out does no harm. With a user, a token is fetched first, and again where etcd no longer knows it.
 */
import { type Agent, type ClientRequest, Agent as HTTPAgent } from 'node:http';
import { Agent as HTTPSAgent } from 'node:https';
import { isFields } from '../../../protocol/api/report-shapes.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import type { ErrorDetails } from '../../../protocol/errors/expected-error.js';
import { EtcdError, EtcdUnreachableError } from './errors.js';
import { readGivenFile } from './given-file.js';
import { answerOf, post } from './http.js';

/** For one endpoint, in ms. */
const CALL_MS = 2_000;
/** Of gRPC (google.golang.org/grpc/codes). */
const UNAUTHENTICATED = 16;
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
/** Answers after which another endpoint may do better: the deadline was exceeded, unavailable, unknown. */
const TRY_NEXT: readonly number[] = [2, 4, 14];
/** Where the token is not known, or older than the last change of users; the latter is an invalid argument for etcd. */
const TOKEN_REFUSED: readonly number[] = [INVALID_ARGUMENT, UNAUTHENTICATED];

export interface EtcdOptions {
  endpoints: readonly string[];
  /** In PEM. */
  ca?: string | undefined;
  /** Files, which are read again for each new connection: certificates are renewed. */
  certFile?: string | undefined;
  keyFile?: string | undefined;
  caFile?: string | undefined;
  user?: string | undefined;
  passwordFile?: string | undefined;
}

export interface KeyValue {
  key: string;
  value: string;
  lease: string;
  /** Of its last change, and since when it has existed. */
  modRevision: bigint;
  createRevision: bigint;
}

/** A condition of a transaction; `version: '0'` for a key that does not exist. */
export type Compare = { key: string } & ({ version: '0' } | { value: string } | { modRevision: bigint });

/** A change in a transaction. */
export type Change = { put: string; value: string; lease?: string } | { delete: string; prefix?: boolean };

export class EtcdClient {
  #current = 0;
  #token: string | undefined;
  #agents: { plain: Agent; tls: HTTPSAgent } | undefined;
  #tlsText = '';
  #localAddress = '';
  #closed = false;

  constructor(private readonly options: EtcdOptions) {}

  get endpoints(): readonly string[] {
    return this.options.endpoints;
  }

  /** This host's address towards etcd; "" before the first answer. */
  get localAddress(): string {
    return this.#localAddress;
  }

  /** All keys that begin with `prefix`, and the revision that they are of. */
  async list(prefix: string): Promise<{ entries: KeyValue[]; revision: bigint }> {
    const answer = await this.call('/v3/kv/range', { key: encode(prefix), range_end: encode(endOf(prefix)) });
    const list: unknown[] = Array.isArray(answer.kvs) ? answer.kvs : [];
    return { entries: list.map(keyValueOf), revision: revisionOf(answer) };
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const { kvs } = await this.call('/v3/kv/range', { key: encode(key) });
    return Array.isArray(kvs) && kvs.length > 0 ? keyValueOf(kvs[0]) : undefined;
  }

  /** Whether the conditions held, and so the changes were made. */
  async transaction(conditions: readonly Compare[], changes: readonly Change[]): Promise<boolean> {
    const answer = await this.call('/v3/kv/txn', {
      compare: conditions.map(compareOf),
      success: changes.map(changeOf),
    });
    return answer.succeeded === true;
  }

  /** A lease of so many seconds; resolves with its id. */
  async grant(seconds: number): Promise<string> {
    const { ID } = await this.call('/v3/lease/grant', { TTL: String(seconds) });
    return String(ID);
  }

  /** Whether the lease still exists; it then lasts for its whole time again. */
  async keepAlive(lease: string): Promise<boolean> {
    const { result } = await this.call('/v3/lease/keepalive', { ID: lease });
    return isFields(result) && Number(result.TTL ?? 0) > 0;
  }

  /** Ends a lease, and removes the keys on it. */
  async revoke(lease: string): Promise<void> {
    await this.call('/v3/lease/revoke', { ID: lease }).catch((error: unknown) => {
      // It has ended already.
      if (!(error instanceof EtcdError)) throw error;
    });
  }

  /** Requests the changes of all keys that begin with `prefix` from that revision on, at the current endpoint: an answer that lasts. */
  watch(prefix: string, from: bigint, signal: AbortSignal): ClientRequest {
    const range = { key: encode(prefix), range_end: encode(endOf(prefix)) };
    const request = { create_request: { ...range, start_revision: String(from) } };
    return this.#post(this.#current, '/v3/watch', request, signal);
  }

  /** To be called where a watch has broken: the next one goes elsewhere. */
  next(): void {
    this.#current = (this.#current + 1) % this.options.endpoints.length;
  }

  close(): void {
    this.#closed = true;
    this.#agents?.plain.destroy();
    this.#agents?.tls.destroy();
  }

  /** Throws EtcdError, EtcdUnreachableError, FileError. */
  async call(path: string, body: unknown): Promise<Record<string, unknown>> {
    const { endpoints, user } = this.options;
    let why = 'the connection has been closed';
    let isRenewed = false;
    const first = this.#current;
    for (let attempt = this.#closed ? endpoints.length : 0; attempt < endpoints.length; attempt++) {
      const at = (first + attempt) % endpoints.length;
      const token = this.#token;
      try {
        if (user !== undefined && token === undefined) await this.#logIn(at);
        const answer = await this.#once(at, path, body);
        this.#current = at;
        return answer;
      } catch (error) {
        const isRefused = error instanceof EtcdError && TOKEN_REFUSED.includes(error.status);
        if (isRefused && token !== undefined && !isRenewed) {
          // Another call may have a new one already.
          if (this.#token === token) this.#token = undefined;
          isRenewed = true;
          attempt--;
          continue;
        }
        if (this.#closed || (error instanceof EtcdError && !TRY_NEXT.includes(error.status))) throw error;
        why = `${endpoints[at]}: ${reasonOf(error)}`;
      }
    }
    throw new EtcdUnreachableError(endpoints, why);
  }

  async #once(at: number, path: string, body: unknown): Promise<Record<string, unknown>> {
    const request = this.#post(at, path, body, AbortSignal.timeout(CALL_MS));
    const { status, text, localAddress } = await answerOf(request);
    const value: unknown = JSON.parse(text);
    if (!isFields(value)) throw new Error(`unexpected answer with status ${status}`);
    const failure = isFields(value.error) ? value.error : value;
    if (status !== 200 || isFields(value.error)) {
      const code = Number(failure.code ?? failure.grpc_code ?? 2);
      throw new EtcdError(
        String(failure.message ?? failure.error ?? `HTTP status ${status}`),
        code,
        this.#hintFor(code),
      );
    }
    this.#localAddress = localAddress;
    return value;
  }

  async #logIn(at: number): Promise<void> {
    const { user, passwordFile } = this.options;
    const text = passwordFile === undefined ? '' : readGivenFile(passwordFile);
    const { token } = await this.#once(at, '/v3/auth/authenticate', {
      name: user,
      password: text.replace(/\r?\n$/, ''),
    });
    this.#token = String(token);
  }

  /** What to do where etcd refuses a user. */
  #hintFor(code: number): ErrorDetails {
    const { user } = this.options;
    if (code === PERMISSION_DENIED) {
      return {
        hint: 'the user needs to read and write all keys of the network: etcdctl role grant-permission --prefix',
      };
    }
    if (code !== INVALID_ARGUMENT && code !== UNAUTHENTICATED) return {};
    return {
      hint:
        user === undefined ? 'etcd may want --etcd-user and --etcd-password-file' : `see user ${user} and its password`,
    };
  }

  #post(at: number, path: string, body: unknown, signal: AbortSignal): ClientRequest {
    const { agent, url } = this.#target(at);
    return post(`${url}${path}`, body, { agent, token: this.#token, signal });
  }

  #target(at: number): { agent: Agent; url: string } {
    const url = this.options.endpoints[at] ?? '';
    const { ca, caFile, certFile, keyFile } = this.options;
    const read = (path: string | undefined) => (path === undefined ? undefined : readGivenFile(path));
    const tls = { ca: read(caFile) ?? ca, cert: read(certFile), key: read(keyFile) };
    const text = JSON.stringify(tls);
    if (!this.#agents || text !== this.#tlsText) {
      this.#agents?.plain.destroy();
      this.#agents?.tls.destroy();
      const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
      const keep = { keepAlive: true, maxSockets: 8 };
      this.#agents = { plain: new HTTPAgent(keep), tls: new HTTPSAgent({ ...keep, ...given }) };
      this.#tlsText = text;
    }
    return { agent: url.startsWith('https:') ? this.#agents.tls : this.#agents.plain, url: url.replace(/\/+$/, '') };
  }
}

function reasonOf(error: unknown): string {
  const isTimeout = error instanceof Error && ['TimeoutError', 'AbortError'].includes(error.name);
  return isTimeout ? `no answer in ${CALL_MS / 1000} s` : errorText(error);
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decode(value: unknown): string {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
}

/** The first key after all that begin with `prefix`. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}

/** Throws Error for what is not a key with its value. */
export function keyValueOf(value: unknown): KeyValue {
  if (!isFields(value)) throw new Error('etcd sent an unexpected value instead of a key');
  const { key, value: content, lease = '0', mod_revision: changed = '0', create_revision: created = '0' } = value;
  const [modRevision, createRevision] = [BigInt(String(changed)), BigInt(String(created))];
  return { key: decode(key), value: decode(content), lease: String(lease), modRevision, createRevision };
}

/** Of an answer. */
function revisionOf(answer: Record<string, unknown>): bigint {
  return BigInt(isFields(answer.header) ? String(answer.header.revision ?? '0') : '0');
}

function compareOf(condition: Compare): Record<string, unknown> {
  const key = encode(condition.key);
  if ('version' in condition) return { key, target: 'VERSION', result: 'EQUAL', version: condition.version };
  if ('value' in condition) return { key, target: 'VALUE', result: 'EQUAL', value: encode(condition.value) };
  return { key, target: 'MOD', result: 'EQUAL', mod_revision: String(condition.modRevision) };
}

function changeOf(change: Change): Record<string, unknown> {
  if ('put' in change) {
    const { put, value, lease } = change;
    return { request_put: { key: encode(put), value: encode(value), ...(lease === undefined ? {} : { lease }) } };
  }
  const range = change.prefix ? { range_end: encode(endOf(change.delete)) } : {};
  return { request_delete_range: { key: encode(change.delete), ...range } };
}
