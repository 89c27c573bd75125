/** What a stack is started with unless it is given otherwise, by the command line (bin/run/) and by the library (library/). */
export const DEFAULTS = {
  net: 'auto',
  /** In bytes; 0 for the network driver's own. */
  mtu: 0,
  cidr: '10.0.2.0/24',
  hostLoopback: false,
  slirp4netns: { binary: 'slirp4netns', sandbox: 'auto', seccomp: 'auto' },
  pasta: { binary: 'pasta' },
  lxcUserNic: { bridge: 'lxcbr0' },
  portDriver: 'builtin',
  keepSource: true,
  copyUp: ['/etc'],
  propagation: 'rprivate',
  subIdSource: 'auto',
} as const;
