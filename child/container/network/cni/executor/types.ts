/** What the CNI specification (1.0.0 and 1.1.0) calls its objects; https://www.cni.dev/docs/spec/ */

/** A plugin's object in a network configuration list. Keys that we do not know pass through unchanged. */
export interface PluginConf {
  type: string;
  capabilities?: Record<string, boolean>;
  ipam?: Record<string, unknown>;
  [key: string]: unknown;
}

/** A network configuration list (conflist). */
export interface ConfList {
  cniVersion: string;
  cniVersions?: string[];
  name: string;
  disableCheck?: boolean;
  disableGC?: boolean;
  plugins: PluginConf[];
  [key: string]: unknown;
}

/** The result of ADD, in the form of version 1.0.0 and later. */
export interface CNIResult {
  cniVersion: string;
  interfaces?: { name: string; mac?: string; sandbox?: string; mtu?: number }[];
  /** `interface` is an index into `interfaces`; `address` is in CIDR notation. */
  ips?: { address: string; gateway?: string; interface?: number }[];
  routes?: { dst: string; gw?: string; mtu?: number; priority?: number }[];
  dns?: CNIDns;
  [key: string]: unknown;
}

export interface CNIDns {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** What one interface of a container in one network is called by. */
export interface AttachmentId {
  containerId: string;
  ifname: string;
}

/** What a plugin can be told to do. */
export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** What the runtime knows of an attachment beside its name. */
export interface Runtime {
  /** Path of the container's network namespace; "" where it is gone, which only DEL allows. */
  netns: string;
  /** For the environment variable CNI_ARGS. */
  args: Record<string, string>;
  /** Goes to the plugins that have the capability of that name: portMappings, ips, mac … */
  capabilityArgs: Record<string, unknown>;
}

/** A result as a plugin gave it, in the form of its `cniVersion`; only that form suits the next plugin. */
export type RawResult = Record<string, unknown>;
