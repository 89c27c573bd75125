/**
 * Some plugins keep their state below /var/lib and /run, which only the system's root may write, or ask a daemon there.
 * They are told of places that are ours, unless their configuration has others. It is what they are told, not what the
 * configuration says: that stays as its file has it, and our places can be others in the next run.
 */
import type { PluginConf } from './cni/types.js';

export interface PluginPlaces {
  /** Directory of the addresses of networks of others; nerdctl and Docker's rootless scripts have the same. */
  hostLocal: string;
  /** Directory of what the plugin tuning has to restore. */
  tuning: string;
  /** The socket of the daemon of the plugin dhcp, which then runs. Throws CNIError. */
  dhcpSocket(): Promise<string>;
}

/** A plugin's object in the list, completed. Throws CNIError. */
export async function withOurPlaces(plugin: PluginConf, places: PluginPlaces): Promise<PluginConf> {
  const told = plugin.type === 'tuning' ? { dataDir: places.tuning, ...plugin } : plugin;
  const { ipam } = plugin;
  if (ipam?.type === 'host-local') return { ...told, ipam: { dataDir: places.hostLocal, ...ipam } };
  if (ipam?.type === 'dhcp' && ipam.daemonSocketPath === undefined) {
    return { ...told, ipam: { ...ipam, daemonSocketPath: await places.dhcpSocket() } };
  }
  return told;
}
