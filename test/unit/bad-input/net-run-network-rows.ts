// Command lines of rootless-net run about names, networks and ports that cannot be carried out, each with its exit code and its line.
import { NAME, PUBLISH } from './net-messages.js';
import type { Row } from './row.js';

export const NET_RUN_NETWORK_ROWS: readonly Row[] = [
  ['rootless-net run', 125, 'specify one of --rootfs, --bundle'],
  ['rootless-net run --foo', 125, "unknown option '--foo'; hint: rootless-net run --help"],
  [
    'rootless-net run alpine true',
    125,
    'specify one of --rootfs, --bundle; hint: images are not supported; unpack one into a directory and use --rootfs DIR',
  ],
  ['rootless-net run --rootfs / --bundle / true', 125, 'specify one of --rootfs, --bundle'],
  ['rootless-net run --rootfs /', 125, 'no command: name the program to run after --, or use --bundle'],
  ['rootless-net run --rootfs', 125, "option '--rootfs <dir>' argument missing; hint: rootless-net run --help"],
  ['rootless-net run --rootfs / --name -x true', 125, `invalid --name "-x": ${NAME}`],
  ["rootless-net run --rootfs / --name 'a b' true", 125, `invalid --name "a b": ${NAME}`],
  ['rootless-net run --rootfs / --name ../x true', 125, `invalid --name "../x": ${NAME}`],
  [
    "rootless-net run --rootfs / --hostname 'a b' true",
    125,
    'invalid --hostname "a b": not a host name (letters, digits, dots and dashes, 64 at most)',
  ],
  [
    'rootless-net run --rootfs / --hostname -x true',
    125,
    'invalid --hostname "-x": not a host name (letters, digits, dots and dashes, 64 at most)',
  ],
  [
    'rootless-net run --rootfs / --domainname a_b true',
    125,
    'invalid --domainname "a_b": not a host name (letters, digits, dots and dashes, 64 at most)',
  ],
  ['rootless-net run --rootfs / --net none --ip 10.0.0.1 true', 125, '--ip and --network=none are mutually exclusive'],
  [
    'rootless-net run --rootfs / --net host --network-alias x true',
    125,
    '--network-alias and --network=host are mutually exclusive',
  ],
  [
    'rootless-net run --rootfs / --net host --net bridge true',
    125,
    '--network=host and other networks are mutually exclusive',
  ],
  ["rootless-net run --rootfs / --net 'a b' true", 125, `invalid --network "a b": ${NAME}`],
  [
    'rootless-net run --rootfs / --net bridge:ip true',
    125,
    'invalid --network "bridge:ip": expected KEY=VALUE, not "ip"',
  ],
  [
    'rootless-net run --rootfs / --net bridge:foo=1 true',
    125,
    'invalid --network "bridge:foo=1": unknown key "foo"; known are alias, driver-opt, gw-priority, interface_name, ip, ip6, mac, mac-address',
  ],
  ['rootless-net run --rootfs / --net name=bridge,ip=1.2.3 true', 125, 'invalid --ip "1.2.3": not an IPv4 address'],
  ['rootless-net run --rootfs / --net bridge --net bridge true', 125, 'the network bridge is named twice'],
  ['rootless-net run --rootfs / --net container: true', 125, `invalid --network "": ${NAME}`],
  ['rootless-net run --rootfs / --net ns:relative true', 125, 'invalid --network "relative": not an absolute path'],
  [
    'rootless-net run --rootfs / --net container:x --hostname y true',
    125,
    'its own host name (--hostname) cannot be combined with --network=container',
  ],
  [
    'rootless-net run --rootfs / --net container:x --dns 1.1.1.1 true',
    125,
    'its own DNS servers (--dns…) cannot be combined with --network=container',
  ],
  [
    'rootless-net run --rootfs / --net container:x --add-host a:1.1.1.1 true',
    125,
    'its own hosts (--add-host) cannot be combined with --network=container',
  ],
  [
    'rootless-net run --rootfs / --net container:x -p 80 true',
    125,
    'published ports (-p) cannot be combined with --network=container',
  ],
  ['rootless-net run --rootfs / --ip 10.1.1 true', 125, 'invalid --ip "10.1.1": not an IPv4 address'],
  ['rootless-net run --rootfs / --ip fd00::1 true', 125, 'invalid --ip "fd00::1": not an IPv4 address'],
  ['rootless-net run --rootfs / --ip6 10.0.0.1 true', 125, 'invalid --ip6 "10.0.0.1": not an IPv6 address'],
  [
    'rootless-net run --rootfs / --mac-address 00:00:00:00:00:00 true',
    125,
    'invalid --mac-address "00:00:00:00:00:00": not a unicast MAC address',
  ],
  [
    'rootless-net run --rootfs / --mac-address 01:02:03:04:05:06 true',
    125,
    'invalid --mac-address "01:02:03:04:05:06": not a unicast MAC address',
  ],
  ['rootless-net run --rootfs / --mac-address xx true', 125, 'invalid --mac-address "xx": not a unicast MAC address'],
  [
    "rootless-net run --rootfs / --network-alias 'a b' true",
    125,
    'invalid --network-alias "a b": not the name of a host (letters, digits, _ . and -)',
  ],
  ["rootless-net run --rootfs / -p '' true", 125, `invalid published port "": it is empty${PUBLISH}`],
  [
    'rootless-net run --rootfs / -p x true',
    125,
    `invalid published port "x": container port "x" is not a number${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 0 true',
    125,
    `invalid published port "0": container port 0 is not between 1 and 65535${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 65536 true',
    125,
    `invalid published port "65536": container port 65536 is larger than 65535${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 80:80/sctp true',
    125,
    `invalid published port "80:80/sctp": sctp is not supported, ports are forwarded for tcp and udp only${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 80/icmp true',
    125,
    `invalid published port "80/icmp": invalid protocol "icmp"${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 80:81:82 true',
    125,
    `invalid published port "80:81:82": host IP "80" is not an IP address${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p localhost:80:80 true',
    125,
    `invalid published port "localhost:80:80": host IP "localhost" is not an IP address${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 1:2:3:4 true',
    125,
    `invalid published port "1:2:3:4": too many colons, an IPv6 address needs brackets${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 80-90:80-81 true',
    125,
    `invalid published port "80-90:80-81": ranges of different length, 11 host ports for 2 container ports${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 90-80:80 true',
    125,
    `invalid published port "90-80:80": host ports "90-80" are reversed${PUBLISH}`,
  ],
  [
    "rootless-net run --rootfs / -p '[fe80::1]:80:80' true",
    125,
    `invalid published port "[fe80::1]:80:80": host IP "fe80::1" is link-local: it needs a zone, which is not supported${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 239.1.1.1:80:80/udp true',
    125,
    `invalid published port "239.1.1.1:80:80/udp": host IP "239.1.1.1" is a multicast address; only unicast addresses can be used${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p target= true',
    125,
    `invalid published port "target=": target has no value${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p published=80 true',
    125,
    `invalid published port "published=80": the port of the container is missing (target=…)${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p target=80,foo=1 true',
    125,
    `invalid published port "target=80,foo=1": unknown key "foo", there are target, published, protocol, mode, host_ip${PUBLISH}`,
  ],
  [
    'rootless-net run --rootfs / -p 1-30000:1-30000 true',
    125,
    'invalid --publish: 30000 are too many, at most 20000 can be given',
  ],
  [
    'rootless-net run --rootfs / --expose 80:80 true',
    125,
    'invalid --expose "80:80": expected containerPort[-range][/proto]; hint: use -p for ports of the host',
  ],
  [
    'rootless-net run --rootfs / --expose http true',
    125,
    'invalid --expose "http": container port "http" is not a number; expected containerPort[-range][/proto], such as 80/tcp',
  ],
  [
    "rootless-net run --rootfs / --expose '' true",
    125,
    'invalid --expose "": it is empty; expected containerPort[-range][/proto], such as 80/tcp',
  ],
];
