/**
 * What port drivers can do beyond forwarding TCP and UDP over IPv4: each is tested where the table gives it to a driver, and
 * docs/guide/ports.md shows this table.
 */
export const capabilityTexts = {
  loopbackServers: 'servers inside that listen on loopback only are reached',
  ipv6: 'IPv6, on the host and inside',
  transparentEnds: 'half-close and reset are forwarded',
  prefersAsked: 'connections reach the server bound to the requested address',
  closesConnections: 'removing a port closes its connections, and servers keep running',
  repliesFromAsked: 'UDP replies come from the requested address of the host',
  loopbackDatagrams: 'UDP on loopback addresses of the host, and datagrams of up to 65,507 bytes',
  resetsUnserved: 'clients are reset at once if nothing listens inside',
  manyAtOnce: 'a thousand concurrent connections',
  heldClients: 'clients wait while the backlog of a server is full, without affecting others',
  observable: 'counters and events of connections',
} as const;

export type Capabilities = Readonly<Record<keyof typeof capabilityTexts, boolean>>;

export const driverCapabilities = {
  builtin: {
    loopbackServers: true,
    ipv6: true,
    transparentEnds: true,
    prefersAsked: true,
    closesConnections: true,
    repliesFromAsked: true,
    loopbackDatagrams: true,
    resetsUnserved: true,
    manyAtOnce: true,
    heldClients: true,
    observable: true,
  },
  bypass: {
    loopbackServers: true,
    ipv6: true,
    transparentEnds: true,
    prefersAsked: false,
    closesConnections: false,
    repliesFromAsked: true,
    loopbackDatagrams: true,
    resetsUnserved: true,
    manyAtOnce: true,
    heldClients: false,
    observable: false,
  },
  slirp4netns: {
    loopbackServers: false,
    ipv6: false,
    transparentEnds: false,
    prefersAsked: false,
    closesConnections: false,
    repliesFromAsked: false,
    loopbackDatagrams: false,
    resetsUnserved: false,
    manyAtOnce: false,
    heldClients: false,
    observable: false,
  },
} as const satisfies Record<string, Capabilities>;
