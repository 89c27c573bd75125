/**
 * Where rootless-net under RootlessKit's name is meant to differ from RootlessKit 1.1, by the name of the row in table.ts.
 * Only the parts that are named may differ, and each difference is tested to be there, so that what is listed is true.
 * Beyond these, messages may be longer than RootlessKit's: they have a hint.
 */
export interface Difference {
  parts: readonly ('code' | 'stdout' | 'usage' | 'message' | 'status' | 'body')[];
  reason: string;
}

const oneLine: Difference = {
  parts: ['message'],
  reason: 'one line states the problem, where RootlessKit needs two and the last reports only that its child exited',
};
const otherWords: Difference = {
  parts: ['message'],
  reason: 'the line names the value, and what it can be combined with',
};
const quoted: Difference = {
  parts: ['body'],
  reason: 'the message quotes the whole spec, and lists the possible values',
};

const noValue = 'an empty value, as from a variable that is not set, is as none';
const asNone: Difference = { parts: ['code', 'message'], reason: noValue };
// RootlessKit shows its help.
const asNoNumber: Difference = { parts: ['code', 'message', 'stdout', 'usage'], reason: noValue };
const moreForms: Difference = { parts: ['code', 'message'], reason: 'more forms of ports are taken' };

const switches = ['debug', 'disable-host-loopback', 'ipv6', 'pidns', 'cgroupns', 'utsns', 'ipcns'];
const answers = ['help', 'h', 'version', 'v'];

export const differences: Readonly<Record<string, Difference>> = {
  '--copy-up= with nothing': asNone,
  '--copy-up-mode= with nothing': asNone,
  '--reaper= with nothing': asNone,
  '--publish= with nothing': asNone,
  '--p= with nothing': asNone,
  '--mtu= with nothing': asNoNumber,
  ...Object.fromEntries([...switches, ...answers].map((name) => [`--${name}= with nothing`, asNoNumber])),
  'odd: a single dash': oneLine,
  'odd: an empty command': oneLine,
  'odd: -- twice': oneLine,
  'odd: an unknown sandbox': otherWords,
  'odd: an unknown filter': otherWords,
  'odd: a slirp4netns that there is not': otherWords,
  'odd: an unknown source of sub-ids': otherWords,
  'odd: an unknown reaper': oneLine,
  'odd: a CIDR of IPv6': otherWords,
  'odd: a CIDR of words': otherWords,
  'odd: a CIDR without a length': otherWords,
  'odd: a device on the network of the host': otherWords,
  'odd: an MTU on the network of the host': otherWords,
  'odd: a directory to copy up that is not absolute': oneLine,
  'odd: copying up with propagation to the host': oneLine,
  'odd: a port without a protocol': moreForms,
  'odd: a port with a protocol in capitals': moreForms,
  'odd: a port with a name for an address': otherWords,
  'odd: a port in hex': otherWords,
  'odd: an empty port': { parts: ['code', 'message'], reason: noValue },
  'a command that is not there': oneLine,
  'a command that cannot be executed': oneLine,
  'a CIDR that is not a network': {
    parts: ['message'],
    reason: 'RootlessKit names the address that it made of the CIDR, and not what was asked for',
  },
  'a CIDR with the network of the host': otherWords,
  'a port driver on the network of the host': otherWords,
  'the slirp4netns port driver without slirp4netns': otherWords,
  'a port that is none': {
    parts: ['message'],
    reason: 'the protocol may be left out, so it is something else that is missing',
  },
  'a reaper without a pid namespace': {
    parts: ['code'],
    reason: 'orphans are reaped in any case, so requesting it is not an error',
  },
  'an unknown propagation': {
    parts: ['code'],
    reason: 'RootlessKit takes any word, and leaves the propagation as it was: a typing error is better reported',
  },
  'resolvers with IPv6': {
    parts: ['stdout'],
    reason: 'as later versions of RootlessKit do, slirp4netns is asked over IPv6, too',
  },
  'a copied-up directory': {
    parts: ['stdout'],
    reason: 'the directory keeps its mode, where the tmpfs of RootlessKit may be written by everybody',
  },
  'files of the state directory': {
    parts: ['code', 'stdout'],
    reason: 'hosts and resolv.conf are kept there, as later versions of RootlessKit do',
  },
  'a protocol that there is not': quoted,
  'a protocol that is not forwarded': {
    parts: ['body'],
    reason: 'the message is that of later versions of RootlessKit; that of 1.1 is about itself',
  },
  'an address that is none': quoted,
  'a port that is too large': quoted,
  'no child port': quoted,
  'a privileged port': {
    parts: ['body'],
    reason: 'a capability on the binary would be one on node, for every program that node runs',
  },
  'no JSON': { parts: ['body'], reason: "the words are those of JavaScript's parser instead of Go's" },
  nothing: { parts: ['body'], reason: 'the message names what is expected, instead of EOF' },
  'removing what has no number': { parts: ['body'], reason: 'the message is without the name of a function of Go' },
};
