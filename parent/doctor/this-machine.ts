import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { execa } from 'execa';
import { LAUNCHER } from '../../native/index.js';
import { Channels } from '../channels.js';
import { findProgram } from '../find-program.js';
import { planIdMap, subIdProblem } from '../namespaces/id-map.js';
import { Launcher } from '../namespaces/launcher.js';
import { tunProblem } from '../network/tun.js';
import type { Machine } from './check.js';

/** Programs that hang are no reason to hang. */
const TIMEOUT_MS = 5000;

export const thisMachine: Machine = {
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
    const result = await execa(program, args, { reject: false, all: true, stdin: 'ignore', timeout: TIMEOUT_MS });
    return { code: result.exitCode ?? 1, output: result.all ?? '' };
  },
  tunProblem,
  subIdProblem,
  async tryNamespaces() {
    const channels = new Channels('', () => {});
    try {
      const launcher = await Launcher.start(channels, ['user', 'mnt', 'net'], planIdMap, {});
      await launcher.kill();
    } finally {
      channels.close();
    }
  },
  launcher: LAUNCHER,
};
