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
