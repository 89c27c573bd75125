/**
 * What port drivers can do beyond forwarding TCP and UDP over IPv4: each is tested where a driver is said to have it, and
 * docs/ports.md shows this table.
 */
export const capabilityTexts = {
  loopbackServers: 'servers inside that listen on loopback alone are reached',
  ipv6: 'IPv6, on the host and inside',
  transparentEnds: 'the end and the reset of one side reach the other as they are',
  prefersAsked: 'of two servers inside on one port, that of the address which was asked is reached',
  closesConnections: 'connections are closed with their port, and servers go on',
  repliesFromAsked: 'UDP published on every address answers from the one that was asked',
  loopbackDatagrams: 'UDP on loopback addresses of the host, and datagrams of up to 65,507 bytes',
  resetsUnserved: 'a client of a port that nothing inside listens on is reset at once',
  manyAtOnce: 'a thousand connections at once',
  heldClients: 'clients that a server which hangs has no room for are held, and hold up nobody else',
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
