/**
 * Where rootless-net under RootlessKit's name is meant to differ from RootlessKit 1.1, by the name of the row in table.ts.
 * Only the parts that are named may differ, and each difference is tested to be there, so that what is listed is true.
 * Beyond these, our messages may go on where RootlessKit's end: they say what to do.
 */
export interface Difference {
  parts: readonly ('code' | 'stdout' | 'message' | 'status' | 'body')[];
  reason: string;
}

const oneLine: Difference = {
  parts: ['message'],
  reason: 'the line says what is wrong, where RootlessKit needs two and the last says only that its child exited',
};
const otherWords: Difference = { parts: ['message'], reason: 'the line names the value, and what goes with it' };
const quoted: Difference = {
  parts: ['body'],
  reason: 'the message quotes the whole spec, and says which values are possible',
};

export const differences: Readonly<Record<string, Difference>> = {
  'a command that is not there': oneLine,
  'a command that cannot be executed': oneLine,
  'an unknown option': {
    parts: ['message', 'stdout'],
    reason: 'the help is our own, and the line names the nearest option that there is',
  },
  'a CIDR that is no network': {
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
    reason: 'orphans are reaped in any case, so asking for it is no error',
  },
  'an unknown propagation': {
    parts: ['code'],
    reason: 'RootlessKit takes any word, and leaves the propagation as it was: a typing error is better told',
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
  nothing: { parts: ['body'], reason: 'the message says what is expected, instead of EOF' },
  'removing what has no number': { parts: ['body'], reason: 'the message is without the name of a function of Go' },
};
