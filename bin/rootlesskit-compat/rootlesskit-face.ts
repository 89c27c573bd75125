/**
 * The program under RootlessKit's name: the version that it is compatible with, and the replacements for drivers that only
 * RootlessKit has.
 */
import { UsageError } from '../../parent/errors.js';
import { type NetworkName, parseNetworkName } from '../../parent/network/index.js';
import { checkPortDriver, type PortDriverName, parsePortDriverName } from '../../parent/port/index.js';
import { isNetworkStandIn, isPortStandIn, type RootlessKitFace } from '../../parent/rootlesskit/stand-ins.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { VERSION } from '../../protocol/version.js';
import type { Dialect } from '../run/dialect.js';

/** The version of RootlessKit whose options are accepted; scripts query it by `--print-semver`. */
const SEMVER = { major: 3, minor: 2, patch: 0 };

export const ROOTLESSKIT_VERSION = `${SEMVER.major}.${SEMVER.minor}.${SEMVER.patch}`;

/** The version that `--version` prints. */
export function versionOf(dialect: Dialect): string {
  return dialect.name === 'rootlesskit' ? ROOTLESSKIT_VERSION : VERSION;
}

/** Throws UsageError, with RootlessKit's message. */
export function semverPart(part: string): number {
  if (part === 'major' || part === 'minor' || part === 'patch') return SEMVER[part];
  throw new UsageError(`expected --print-semver=(major|minor|patch), got ${JSON.stringify(part)}`);
}

/** The network driver, and what the API reports under RootlessKit's name. Throws UsageError. */
export function chooseNetwork(
  values: { net: string; sourceIpTransparent?: boolean; sourceIpTransparentBackend: string },
  dialect: Dialect,
): { net: NetworkName; face?: RootlessKitFace } {
  const { net, sourceIpTransparent = true, sourceIpTransparentBackend: backend } = values;
  if (dialect.name !== 'rootlesskit') return { net: parseNetworkName(net) };
  const sourceBackend = !sourceIpTransparent ? 'none' : backend === 'iptables' ? 'iptables' : 'nft';
  const face = { version: ROOTLESSKIT_VERSION, sourceBackend } as const;
  if (isNetworkStandIn(net)) return { net: 'auto', face: { ...face, network: net } };
  return { net: parseNetworkName(net), face };
}

/**
 * The port driver, and the ports to publish with it. A driver that replaces another is recorded in `face`; what differs from
 * the request is added to `warnings`. Throws UsageError.
 */
export function choosePorts(
  { net: netName, portDriver: driverName }: { net: string; portDriver: string },
  {
    net,
    face,
    specs,
    warnings,
  }: { net: NetworkName; face: RootlessKitFace | undefined; specs: readonly PortMapping[]; warnings: string[] },
): { portDriver: PortDriverName; publish: readonly PortMapping[] } {
  let driver: PortDriverName;
  if (face && isPortStandIn(driverName)) {
    driver = 'builtin';
    face.ports = driverName;
  } else {
    driver = parsePortDriverName(driverName);
  }
  let publish = specs;
  if (face && driver === 'implicit' && specs.length > 0) {
    // As RootlessKit does; Docker's configurations set both.
    warnings.push(
      '--publish is ignored with --port-driver=implicit: every port that is opened in the namespace is published',
    );
    publish = [];
  }
  checkPortDriver({ driver, net, publishes: publish.length > 0, driverName, netName });
  return { portDriver: driver, publish };
}
