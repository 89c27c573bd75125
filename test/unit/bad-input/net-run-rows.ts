// Command lines of rootless-net run and create about processes, mounts and limits that cannot be carried out, each with
// its exit code and its line.
import { PUBLISH } from './net-messages.js';
import type { Row } from './row.js';

export const NET_RUN_ROWS: readonly Row[] = [
  ['rootless-net run --rootfs / -e =x true', 125, 'invalid --env "=x": not of the form NAME=value'],
  [
    'rootless-net run --rootfs / --env-file /nonexistent true',
    125,
    'cannot read --env-file /nonexistent: no such file or directory',
  ],
  [
    'rootless-net run --rootfs / --label-file /nonexistent true',
    125,
    'cannot read --label-file /nonexistent: no such file or directory',
  ],
  ['rootless-net run --rootfs / -w relative true', 125, 'invalid --workdir "relative": not an absolute path'],
  [
    "rootless-net run --rootfs / -u 'a b' true",
    125,
    'invalid --user "a b": not a user: USER or USER:GROUP, by names or numbers',
  ],
  [
    'rootless-net run --rootfs / -u a:b:c true',
    125,
    'invalid --user "a:b:c": not a user: USER or USER:GROUP, by names or numbers',
  ],
  ['rootless-net run --rootfs / -v x true', 125, 'invalid --volume "x": expected SOURCE:TARGET[:OPTIONS]'],
  [
    'rootless-net run --rootfs / -v /x true',
    125,
    'invalid --volume "/x": volumes without a source are not supported; hint: SOURCE:/x mounts a directory, --tmpfs /x one in memory',
  ],
  ['rootless-net run --rootfs / -v /x:y true', 125, 'invalid --volume "/x:y": the target "y" is not an absolute path'],
  [
    'rootless-net run --rootfs / -v /x:/y:rwx true',
    125,
    'invalid --volume "/x:/y:rwx": unknown option "rwx"; known are ro, rw, noexec, nosuid, nodev, private, rprivate, slave, rslave, shared, rshared',
  ],
  ['rootless-net run --rootfs / -v /x:/y -v /z:/y true', 125, 'invalid --volume: /y is the target of two mounts'],
  [
    'rootless-net run --rootfs / --mount type=volume,target=/x true',
    125,
    'invalid --mount "type=volume,target=/x": mounts of the type volume are not supported; hint: type=bind,source=DIRECTORY,target=PATH or type=tmpfs,target=PATH',
  ],
  [
    'rootless-net run --rootfs / --mount type=bind,target=/x true',
    125,
    'invalid --mount "type=bind,target=/x": source=PATH is missing',
  ],
  [
    'rootless-net run --rootfs / --mount foo true',
    125,
    'invalid --mount "foo": mounts of the type volume are not supported; hint: type=bind,source=DIRECTORY,target=PATH or type=tmpfs,target=PATH',
  ],
  ['rootless-net run --rootfs / --tmpfs x true', 125, 'invalid --tmpfs "x": the target "x" is not an absolute path'],
  [
    'rootless-net run --rootfs / --tmpfs /x:foo=1 true',
    125,
    'invalid --tmpfs "/x:foo=1": unknown option "foo=1"; known are ro, noexec, nosuid, nodev, size, mode, uid and gid',
  ],
  ['rootless-net run --rootfs / --dns nonsense true', 125, 'invalid --dns "nonsense": not an IP address'],
  ['rootless-net run --rootfs / --dns 1.1.1.1.1 true', 125, 'invalid --dns "1.1.1.1.1": not an IP address'],
  [
    'rootless-net run --rootfs / --add-host a true',
    125,
    'invalid --add-host "a": expected HOST:ADDRESS or HOST=ADDRESS',
  ],
  [
    'rootless-net run --rootfs / --add-host a:b true',
    125,
    'invalid --add-host "a:b": "b" is not an IP address or host-gateway',
  ],
  [
    "rootless-net run --rootfs / --add-host 'a b:1.1.1.1' true",
    125,
    'invalid --add-host "a b": not the name of a host (letters, digits, _ . and -)',
  ],
  [
    'rootless-net run --rootfs / --add-host :1.1.1.1 true',
    125,
    'invalid --add-host ":1.1.1.1": expected HOST:ADDRESS or HOST=ADDRESS',
  ],
  ['rootless-net run --rootfs / -l =x true', 125, 'invalid --label "=x": expected NAME=value'],
  ['rootless-net run --rootfs / --annotation x true', 125, 'invalid --annotation "x": expected NAME=value'],
  [
    'rootless-net run --rootfs / --log-driver json-file true',
    125,
    'invalid log driver "json-file": the only one is k8s-file',
  ],
  [
    'rootless-net run --rootfs / --log-opt foo=1 true',
    125,
    'invalid log option "foo=1": expected max-size=SIZE or max-file=COUNT',
  ],
  [
    'rootless-net run --rootfs / --log-opt max-size=0 true',
    125,
    'invalid max-size "0": expected a number of bytes of at least 1, optionally followed by k, m or g (thousand, million, thousand million)',
  ],
  [
    'rootless-net run --rootfs / --log-opt max-file=0 true',
    125,
    'invalid max-file "0": expected a number from 1 to 1000',
  ],
  [
    'rootless-net run --rootfs / --log-opt max-size=x true',
    125,
    'invalid max-size "x": expected a number of bytes of at least 1, optionally followed by k, m or g (thousand, million, thousand million)',
  ],
  [
    'rootless-net run --rootfs / --security-opt foo true',
    125,
    'invalid --security-opt "foo": expected seccomp=FILE, seccomp=unconfined or no-new-privileges',
  ],
  [
    'rootless-net run --rootfs / --security-opt no-new-privileges=maybe true',
    125,
    'invalid --security-opt "no-new-privileges=maybe": expected seccomp=FILE, seccomp=unconfined or no-new-privileges',
  ],
  [
    'rootless-net run --rootfs / --security-opt seccomp= true',
    125,
    'invalid --security-opt "seccomp=": expected seccomp=FILE, seccomp=unconfined or no-new-privileges',
  ],
  [
    'rootless-net run --rootfs / --pids-limit x true',
    125,
    'invalid --pids-limit "x": expected a number of processes, or -1 for no limit',
  ],
  [
    'rootless-net run --rootfs / --pids-limit -2 true',
    125,
    'invalid --pids-limit "-2": expected a number of processes, or -1 for no limit',
  ],
  ['rootless-net run --rootfs / --sysctl foo true', 125, 'invalid --sysctl "foo": expected NAME=value'],
  [
    'rootless-net run --rootfs / --sysctl kernel.panic=1 true',
    125,
    'invalid --sysctl: sysctl "kernel.panic" is not allowed: it belongs to the whole machine; allowed are net.*, fs.mqueue.* and kernel.msg*, kernel.sem and kernel.shm*',
  ],
  [
    'rootless-net run --rootfs / --net host --sysctl net.ipv4.ip_forward=1 true',
    125,
    'the sysctl net.ipv4.ip_forward cannot be combined with --network=host',
  ],
  [
    'rootless-net run --rootfs / --cap-add FOO true',
    125,
    'invalid --cap-add "FOO": expected a name such as NET_ADMIN (see capabilities(7)), or ALL',
  ],
  [
    'rootless-net run --rootfs / --cap-drop FOO true',
    125,
    'invalid --cap-drop "FOO": expected a name such as NET_ADMIN (see capabilities(7)), or ALL',
  ],
  [
    'rootless-net run --rootfs / --ulimit foo=1 true',
    125,
    'invalid --ulimit "foo=1": expected NAME=SOFT[:HARD] with a NAME of core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack, such as nofile=1024:4096',
  ],
  [
    'rootless-net run --rootfs / --ulimit nofile true',
    125,
    'invalid --ulimit "nofile": expected NAME=SOFT[:HARD] with a NAME of core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack, such as nofile=1024:4096',
  ],
  [
    'rootless-net run --rootfs / --ulimit nofile=2:1 true',
    125,
    'invalid --ulimit "nofile=2:1": the soft limit exceeds the hard one',
  ],
  [
    'rootless-net run --rootfs / --shm-size x true',
    125,
    'invalid --shm-size "x": expected a number of bytes, or one with k, m or g',
  ],
  ["rootless-net run --rootfs / --group-add 'a b' true", 125, 'invalid --group-add "a b": expected a name or a gid'],
  [
    'rootless-net run --rootfs / --stop-signal FOO true',
    125,
    'invalid --stop-signal "FOO": expected a name such as TERM or SIGTERM, or a number',
  ],
  [
    'rootless-net run --rootfs / --stop-timeout x true',
    125,
    'invalid --stop-timeout "x": expected a number of seconds, or -1 for no limit',
  ],
  [
    'rootless-net run --rootfs / --memory 1g true',
    125,
    "--memory is not supported; hint: limit the stack's unit with systemd (systemctl --user edit), or put it into the config.json of an OCI bundle and use --bundle DIR",
  ],
  [
    'rootless-net run --rootfs / --privileged true',
    125,
    '--privileged is not supported; hint: use the options that are needed, such as --cap-add NET_ADMIN, --cap-add ALL, --security-opt seccomp=unconfined',
  ],
  ['rootless-net run --rootfs / --rm=maybe true', 125, 'invalid --rm "maybe": expected true or false'],
  ['rootless-net create', 125, 'specify one of --rootfs, --bundle'],
  ['rootless-net create --rootfs / --ip 10.1.1 true', 125, 'invalid --ip "10.1.1": not an IPv4 address'],
  [
    'rootless-net create --rootfs / -p x true',
    125,
    `invalid published port "x": container port "x" is not a number${PUBLISH}`,
  ],
];
