// Command lines of rootless-net network that cannot be carried out, each with its exit code and its line.
import { NAME } from './net-messages.js';
import type { Row } from './row.js';

export const NET_NETWORK_ROWS: readonly Row[] = [
  ['rootless-net network', 125, 'rootless-net network requires a subcommand; hint: rootless-net network --help'],
  ['rootless-net network foo', 125, "unknown command 'foo'; hint: rootless-net network --help"],
  ['rootless-net network --foo', 125, "unknown option '--foo'; hint: rootless-net network --help"],
  ['rootless-net network create', 125, "missing required argument 'name'; hint: rootless-net network create --help"],
  [
    'rootless-net network create a b',
    125,
    "too many arguments for 'create'. Expected 1 argument but got 2; hint: rootless-net network create --help",
  ],
  ["rootless-net network create 'a b'", 125, `invalid name of the network "a b": ${NAME}`],
  ['rootless-net network create ../x', 125, `invalid name of the network "../x": ${NAME}`],
  ['rootless-net network create --gateway x a', 125, 'invalid --gateway "x": not an IP address'],
  ['rootless-net network create --aux-address x a', 125, 'invalid --aux-address "x": not of the form NAME=ADDRESS'],
  ['rootless-net network create --aux-address a=b a', 125, 'invalid --aux-address "a=b": not of the form NAME=ADDRESS'],
  ['rootless-net network create --label =x a', 125, 'invalid --label "=x": expected NAME=value'],
  ['rootless-net network create --foo a', 125, "unknown option '--foo'; hint: rootless-net network create --help"],
  [
    'rootless-net network ls all',
    125,
    "too many arguments for 'ls'. Expected 0 arguments but got 1; hint: rootless-net network ls --help",
  ],
  ['rootless-net network ls --filter name=[', 125, 'invalid --filter "name=[": expected a regular expression'],
  [
    'rootless-net network ls --filter foo=x',
    125,
    'invalid --filter "foo=x": unknown filter foo; known are dangling, driver, id, label, name, scope, type',
  ],
  ["rootless-net network ls --format '{{'", 125, 'invalid --format "{{": an action is not closed by }}'],
  [
    'rootless-net network inspect',
    125,
    "missing required argument 'network'; hint: rootless-net network inspect --help",
  ],
  ['rootless-net network inspect nowhere', 1, 'no such network: nowhere; rootless-net network ls shows them'],
  ['rootless-net network inspect ../etc/passwd', 1, 'no such network: ../etc/passwd'],
  ['rootless-net network rm', 125, "missing required argument 'network'; hint: rootless-net network rm --help"],
  ['rootless-net network rm nowhere', 1, 'no such network: nowhere; rootless-net network ls shows them'],
  ['rootless-net network rm host', 1, 'host is a predefined network and cannot be removed'],
  ['rootless-net network check', 125, "missing required argument 'network'; hint: rootless-net network check --help"],
  ['rootless-net network check nowhere', 1, 'no such network: nowhere; rootless-net network ls shows them'],
  [
    'rootless-net network prune all',
    125,
    "too many arguments for 'prune'. Expected 0 arguments but got 1; hint: rootless-net network prune --help",
  ],
  [
    'rootless-net network connect',
    125,
    "missing required argument 'network'; hint: rootless-net network connect --help",
  ],
  [
    'rootless-net network connect nowhere',
    125,
    "missing required argument 'container'; hint: rootless-net network connect --help",
  ],
  ['rootless-net network connect nowhere nobody', 1, 'no such container: nobody'],
  ['rootless-net network connect --ip x nowhere nobody', 125, 'invalid --ip "x": not an IPv4 address'],
  ['rootless-net network connect --ip6 1.1.1.1 nowhere nobody', 125, 'invalid --ip6 "1.1.1.1": not an IPv6 address'],
  [
    'rootless-net network connect --mac-address x nowhere nobody',
    125,
    'invalid --mac-address "x": not a unicast MAC address',
  ],
  [
    "rootless-net network connect --alias 'a b' nowhere nobody",
    125,
    'invalid --alias "a b": not the name of a host (letters, digits, _ . and -)',
  ],
  [
    'rootless-net network disconnect',
    125,
    "missing required argument 'network'; hint: rootless-net network disconnect --help",
  ],
  [
    'rootless-net network disconnect nowhere',
    125,
    "missing required argument 'container'; hint: rootless-net network disconnect --help",
  ],
  ['rootless-net network disconnect nowhere nobody', 1, 'no such container: nobody'],
];
