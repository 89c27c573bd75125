import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CNI } from '../../../../../../child/container/network/cni/executor/chain.js';
import { CNIError } from '../../../../../../child/container/network/cni/executor/errors.js';
import type { ConfList, PluginConf, Runtime } from '../../../../../../child/container/network/cni/executor/types.js';
import { programPath, tempDir } from '../../../../../support/index.js';

export type Replies = Record<string, Record<string, { stdout?: unknown; stderr?: string; code?: number }>>;

export interface Run {
  type: string;
  env: Record<string, string>;
  stdin: Record<string, unknown>;
}

export const id = { containerId: 'c1', ifname: 'eth0' };
export const runtime: Runtime = { netns: '/run/netns/c1', args: {}, capabilityArgs: {} };
export const result = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/c1' }],
  ips: [{ address: '10.4.0.2/24', gateway: '10.4.0.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0' }],
  dns: {},
};

/** A network of plugins of these types, or as they are given. */
export function network(plugins: readonly (string | PluginConf)[], rest: Partial<ConfList> = {}): ConfList {
  const objects = plugins.map((plugin) => (typeof plugin === 'string' ? { type: plugin } : plugin));
  return { cniVersion: '1.0.0', name: 'net1', ...rest, plugins: objects };
}

/** A directory with plugins that note how they are run, and an executor that finds them. */
export function plugins(types: readonly string[], replies: Replies = {}, env?: Record<string, string>) {
  const dir = tempDir();
  const cacheDir = join(tempDir(), 'cache');
  for (const type of types) {
    writePlugin(dir, type, `exec '${process.execPath}' '${programPath('cni-noop')}' "$0"`);
  }
  const runsFile = join(dir, 'runs.jsonl');
  const reply = (changed: Replies) => writeFileSync(join(dir, 'replies.json'), JSON.stringify(changed));
  reply(replies);
  writeFileSync(runsFile, '');
  return {
    dir,
    cacheDir,
    reply,
    cni: new CNI({ pluginDirs: ['/nonexistent', dir], cacheDir, ...(env && { env }) }),
    /** What ran since the last time. */
    runs(): Run[] {
      const lines = readFileSync(runsFile, 'utf8').split('\n').filter(Boolean);
      writeFileSync(runsFile, '');
      return lines.map((line) => JSON.parse(line) as Run);
    },
    cached: () => (existsSync(join(cacheDir, 'results')) ? readdirSync(join(cacheDir, 'results')) : []),
  };
}

export function writePlugin(dir: string, type: string, script: string): void {
  writeFileSync(join(dir, type), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** As in "ADD bridge". */
export const summary = (runs: readonly Run[]) => runs.map(({ type, env }) => `${env.CNI_COMMAND} ${type}`);
export const prevResults = (runs: readonly Run[]) => runs.map(({ stdin }) => stdin.prevResult);
export const failure = (msg: string, code = 999) => ({ stdout: { cniVersion: '1.0.0', code, msg }, code: 1 });
export const fails = (code: number, message: RegExp) => (error: unknown) => {
  assert(error instanceof CNIError, String(error));
  assert.deepEqual([error.cniCode, /\n/.test(error.message)], [code, false]);
  assert.match(error.message, message);
  return true;
};
