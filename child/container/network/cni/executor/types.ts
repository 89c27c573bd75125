/** The objects of the CNI specification (1.0.0 and 1.1.0), https://www.cni.dev/docs/spec/ */

/** A plugin's object in a network configuration list. Unknown keys are passed unchanged. */
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

/** Identifies the interface of a container in a network. */
export interface AttachmentId {
  containerId: string;
  ifname: string;
}

/** The operations of a plugin. */
export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** The runtime's parameters of an attachment. */
export interface Runtime {
  /** Path of the container's network namespace; "" if it no longer exists, which only DEL allows. */
  netns: string;
  /** For the environment variable CNI_ARGS. */
  args: Record<string, string>;
  /** Passed to the plugins with the capability of that name: portMappings, ips, mac … */
  capabilityArgs: Record<string, unknown>;
}

/** A result in the form of its `cniVersion`, in which it is passed to the next plugin. */
export type RawResult = Record<string, unknown>;
