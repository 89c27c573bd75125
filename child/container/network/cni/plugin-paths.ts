/**
 * Some plugins keep their state below /var/lib and /run, which only the system's root may write, or connect to a daemon
 * there. Their requests get paths of the stack instead, unless their configuration sets these. The configuration itself is
 * not changed: the paths may differ in the next run.
 */

import { join } from 'node:path';
import type { PluginConf } from './executor/types.js';

/** Where other CNI runtimes search for plugins (as libcni's users do), and where distributions install them. */
const PLUGIN_DIRS = [
  '/opt/cni/bin',
  '/usr/local/libexec/cni',
  '/usr/local/lib/cni',
  '/usr/libexec/cni',
  '/usr/lib/cni',
];

export interface PluginPaths {
  /** Directory of host-local's reservations, the same as in nerdctl and Docker's rootless scripts. */
  hostLocal: string;
  /** Directory of the values that the plugin tuning restores. */
  tuning: string;
  /** Starts the daemon of the plugin dhcp, and resolves with its socket. Throws CNIError. */
  dhcpSocket(): Promise<string>;
}

/** A plugin's object in the list, completed with paths. Throws CNIError. */
export async function withPluginPaths(plugin: PluginConf, paths: PluginPaths): Promise<PluginConf> {
  const config = plugin.type === 'tuning' ? { dataDir: paths.tuning, ...plugin } : plugin;
  const { ipam } = plugin;
  if (ipam?.type === 'host-local') return { ...config, ipam: { dataDir: paths.hostLocal, ...ipam } };
  if (ipam?.type === 'dhcp' && ipam.daemonSocketPath === undefined) {
    return { ...config, ipam: { ...ipam, daemonSocketPath: await paths.dhcpSocket() } };
  }
  return config;
}

/** Directories of CNI plugins, the user's first. */
export function pluginDirectories(): string[] {
  const home = process.env.HOME || '/root';
  return [
    ...(process.env.CNI_PATH ?? '').split(':').filter((dir) => dir !== ''),
    join(home, 'opt/cni/bin'),
    join(home, '.local/libexec/cni'),
    ...PLUGIN_DIRS,
  ];
}
