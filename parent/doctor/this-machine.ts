import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { LAUNCHER } from '../../native/index.js';
import { EngineHost } from '../engine/engine-host.js';
import { planIdMap, subIdProblem } from '../namespaces/id-map.js';
import { Launcher } from '../namespaces/launcher.js';
import { tunProblem } from '../network/drivers/tun.js';
import { hostNetworks } from '../network/host/networks.js';
import { findProgram } from '../programs/find-program.js';
import { runProgramToEnd } from '../programs/run-programs.js';
import type { Machine } from './check.js';
import { containerNetworks } from './container-networks.js';

/** How long a program may take, in ms. */
const TIMEOUT_MS = 5000;

/** @param confDir directory of the networks of containers; throws where it is unknown */
export const thisMachine = (confDir: () => string): Machine => ({
  get user() {
    const { uid, gid, username } = userInfo();
    return { uid, gid, name: username };
  },
  read: (path) => readFile(path, 'utf8').catch(() => ''),
  stat: (path) =>
    stat(path).then(
      ({ mode, uid }) => ({ mode, uid }),
      () => undefined,
    ),
  find: async (program) => findProgram(program),
  async run(program, ...args) {
    const { exitCode = 1, output } = await runProgramToEnd(program, args, { timeout: TIMEOUT_MS });
    return { code: exitCode, output };
  },
  tunProblem: async () => tunProblem(),
  subIdProblem,
  async tryNamespaces() {
    const engineHost = new EngineHost('', () => {});
    try {
      const launcher = await Launcher.start({ engineHost, namespaces: ['mnt', 'net'], planIdMap, env: {} });
      await launcher.kill();
    } finally {
      engineHost.close();
    }
  },
  async hostNetworks() {
    try {
      return hostNetworks();
    } catch {
      return undefined;
    }
  },
  async containerNetworks() {
    let directory: string;
    try {
      directory = confDir();
    } catch {
      return [];
    }
    return containerNetworks(directory);
  },
  launcher: LAUNCHER,
});
