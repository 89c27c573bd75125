// The candidates that are compared: the programs that are installed, and those given by --peer NAME=PATH.
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { bypassName, type Candidate, type Candidates, ownName, referenceName } from './candidate.js';
import { checkout, checkoutFile, direct, ownBuiltin, ownBypass, peerKinds } from './kinds.js';

/** A program or checkout at a path of its own. */
export interface GivenPeer {
  name: string;
  path: string;
}

/** The name is also part of that of a user. */
const NAME = /^[a-z][a-z0-9-]{0,15}$/;

/** @throws {Error} if it is not NAME=PATH, or the name cannot be used */
export function parsePeer(text: string): GivenPeer {
  const [, name = '', path = ''] = /^([^=]*)=(.+)$/s.exec(text) ?? [];
  if (path === '') throw new Error(`--peer takes NAME=PATH, not ${text}`);
  if (!NAME.test(name)) {
    throw new Error(`The name of a peer has up to 16 of a-z, 0-9 and -, the first of them a letter: not ${name}`);
  }
  if ([referenceName, ownName, bypassName].includes(name)) throw new Error(`${name} cannot be the name of a peer`);
  return { name, path: resolve(path) };
}

/** The candidate of a path: another checkout of this package, or a program whose kind its name or that of its file tells. */
function makeGiven({ name, path }: GivenPeer): Candidate {
  if (!existsSync(path)) throw new Error(`--peer ${name}: there is no ${path}`);
  if (statSync(path).isDirectory()) {
    if (existsSync(join(path, checkoutFile))) return checkout(path);
    throw new Error(`--peer ${name}: ${path} is not a program, nor a built checkout of this package`);
  }
  const kinds = Object.keys(peerKinds);
  const kind = kinds.find((each) => name.startsWith(each)) ?? kinds.find((each) => basename(path).startsWith(each));
  const make = kind === undefined ? undefined : peerKinds[kind];
  if (make !== undefined) return make(path);
  throw new Error(`--peer ${name}: neither ${name} nor ${basename(path)} begins with one of ${kinds.join(', ')}`);
}

/**
 * All candidates: those that are installed, each replaced by a given one of its name, and the further given ones. Other checkouts
 * come before this one, as the tables read from before to after.
 *
 * @throws {Error} if a path is not what it has to be
 */
export function makeCandidates(given: readonly GivenPeer[] = []): Candidates {
  const made = given.map((peer): [string, Candidate] => [peer.name, makeGiven(peer)]);
  const checkouts = made.filter(([, { root }]) => root !== undefined);
  const installed = Object.entries(peerKinds)
    .filter(([name]) => !checkouts.some(([other]) => other === name))
    .map(([name, make]): [string, Candidate] => [name, make(name)]);
  return Object.fromEntries([
    [referenceName, direct],
    ...checkouts,
    [ownName, ownBuiltin],
    [bypassName, ownBypass],
    ...installed,
    // A name that is already there keeps its place.
    ...made.filter(([, { root }]) => root === undefined),
  ]);
}
