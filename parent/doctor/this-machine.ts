import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { LAUNCHER, native } from '../../native/index.js';
import { EngineHost } from '../engine/engine-host.js';
import type { Problem } from '../errors.js';
import { makeGateway } from '../namespaces/gateway.js';
import { planIdMap, subIdProblem } from '../namespaces/id-map.js';
import { Launcher, LauncherRequestError } from '../namespaces/launcher.js';
import { userModeAddresses } from '../network/drivers/addresses.js';
import { explainGateway } from '../network/drivers/builtin/gateway-problem.js';
import { tunProblem } from '../network/drivers/tun.js';
import { hostNetworks } from '../network/host/networks.js';
import { findProgram } from '../programs/find-program.js';
import { runProgramToEnd } from '../programs/run-programs.js';
import type { Machine } from './check.js';
import { containerNetworks } from './container-networks.js';

/** How long a program may take, in ms. */
const TIMEOUT_MS = 5000;

/** Without IPv6, which the driver can do without. */
const EXAMPLE_GATEWAY = { ifname: 'eth0', mtu: 65520, ipv4: userModeAddresses('10.0.2.0/24') };

const gatewayTrial = once(() => inNamespaces(tryGateway));

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
  gatewayProblem: async () => (await gatewayTrial()).problem,
  gatewayTranslates: async () => (await gatewayTrial()).translates,
  tunProblem: async () => tunProblem(),
  subIdProblem,
  tryNamespaces: () => inNamespaces(async () => {}),
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

/** Runs a task with a launcher of user, mount and network namespaces, which end then. Throws NamespaceError. */
async function inNamespaces<T>(task: (deps: { engineHost: EngineHost; launcher: Launcher }) => Promise<T>): Promise<T> {
  const engineHost = new EngineHost('', () => {});
  try {
    const launcher = await Launcher.start({ engineHost, namespaces: ['mnt', 'net'], planIdMap, env: {} });
    try {
      return await task({ engineHost, launcher });
    } finally {
      await launcher.kill();
    }
  } finally {
    engineHost.close();
  }
}

interface GatewayTrial {
  problem?: Problem;
  translates: boolean;
}

async function tryGateway(deps: { engineHost: EngineHost; launcher: Launcher }): Promise<GatewayTrial> {
  try {
    const { fds, translates } = await makeGateway(deps, EXAMPLE_GATEWAY);
    for (const fd of fds) native().closeFd(fd);
    return { translates };
  } catch (error) {
    if (!(error instanceof LauncherRequestError)) throw error;
    return { problem: explainGateway(error, EXAMPLE_GATEWAY.ifname), translates: false };
  }
}

/** A function that calls the other one at its first call only. */
function once<T>(task: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= task();
    return result;
  };
}
