import type { ManualText } from './page.js';

/** The sections of the manual pages that --help does not have. */
const stateDirectory: ManualText['sections'][number] = [
  'Files',
  'The state directory (--state-dir) holds, while the stack runs:',
  ' child_pid     a process in the namespaces, for nsenter(1)\n api.sock      the REST API, which rootlessctl(1) uses\n netns         with --detach-netns, the network namespace\n hosts, resolv.conf   what the command sees in /etc\n lock          held while the stack runs; names the process that holds it',
];

const environment: ManualText['sections'][number] = [
  'Environment',
  'The command gets ROOTLESSKIT_STATE_DIR, ROOTLESSKIT_PARENT_EUID and ROOTLESSKIT_PARENT_EGID. LISTEN_FDS and LISTEN_PID (sd_listen_fds(3)) are passed to it together with the descriptors. All other variables are passed unchanged, including those of Node.js (NODE_OPTIONS), which have no effect on this program; ROOTLESS_NET_NODE_OPTIONS has options for the Node.js that runs this program, and ROOTLESS_NET_NODE is its path. GETSUBIDS is the path of getsubids(1), TMPDIR the directory for temporary state.',
];

const signals: ManualText['sections'][number] = [
  'Signals',
  'All signals that can be caught are forwarded to the command, except SIGCHLD, SIGPIPE, SIGURG, and those that are ignored at the start. The program exits when the command does.',
];

const seeAlso = ['rootlessctl(1)', 'slirp4netns(1)', 'pasta(1)', 'newuidmap(1)', 'user_namespaces(7)'];

export const rootlessRunManual: ManualText = {
  summary: 'run a command in a network namespace of its own, without root, and publish its ports',
  sections: [
    [
      'Other commands',
      "rootless-run ls lists the running stacks, and rootless-run stop stops one, by its name (--name), process ID or state directory, or the only one. rootless-run serve runs the stack without a command, as a service. rootless-run systemd install, uninstall and status manage it as a unit of the user's systemd. rootless-run doctor checks the machine. Each has --help. To run a command with one of these names, put it after --.",
    ],
    [
      'Exit status',
      'That of the command, or 128 + N if signal N terminated it; 127 if the command was not found, 126 if it cannot be executed, 125 if the command line is invalid or the namespaces, the network or a port could not be set up. serve, systemd and doctor exit with 125 if the command line is invalid, and with 1 on any other failure; serve with 75 if the stack is already running.',
    ],
    signals,
    environment,
    stateDirectory,
    [
      'Examples',
      " rootless-run -p 127.0.0.2:8080:80 -- nginx -g 'daemon off;'\n rootless-run -p 8080:80 -p '[::1]:8443:443' -- ./my-server\n rootless-run -- bash",
    ],
  ],
  seeAlso: ['rootlesskit(1)', ...seeAlso],
};

export const rootlesskitManual: ManualText = {
  summary: "rootless-run under RootlessKit's name, with RootlessKit's defaults",
  sections: [
    [
      'Drivers',
      'Drivers that only RootlessKit has are replaced by others, which a warning names: the network drivers gvisor-tap-vsock and vpnkit by builtin, slirp4netns or pasta, or by loopback alone if none of them works; the port drivers gvisor-tap-vsock and pesto by builtin. With --port-driver=implicit, --publish is ignored. An empty value is treated as no option, except for --net and --port-driver.',
    ],
    [
      'Exit status',
      'That of the command; 255 if a signal terminated it; 1 if it cannot be executed, or if the set-up failed. Two lines on standard error report any other exit status than 0.',
    ],
    signals,
    environment,
    stateDirectory,
    [
      'Examples',
      ' rootlesskit bash\n rootlesskit --net=slirp4netns --disable-host-loopback --copy-up=/etc \\\n   --port-driver=builtin -p 127.0.0.2:8080:80/tcp bash',
    ],
  ],
  seeAlso: ['rootless-run(1)', ...seeAlso],
};

export const rootlessNetManual: ManualText = {
  summary: 'containers and their networks on a running stack, without root',
  sections: [
    [
      'Exit status',
      '0, or 1 after a line that reports the error. run, start --attach and exec have the exit status of the program; 125 if it could not be started. 125 also if the command line is invalid.',
    ],
    [
      'Files',
      ' $XDG_RUNTIME_DIR/rootless-net        state directory of the default stack\n $XDG_DATA_HOME/rootless-net          containers, names, addresses, the journal\n $XDG_CONFIG_HOME/cni/net.d           networks, as CNI network configuration lists',
    ],
    [
      'Environment',
      'ROOTLESSKIT_STATE_DIR is the state directory, set in the namespaces of a stack. CNI_PATH has additional directories of CNI plugins.',
    ],
    [
      'Examples',
      " rootless-net run -d --name web -p 127.0.0.2:8080:80 --rootfs DIR -- nginx -g 'daemon off;'\n rootless-net network create --ipv6 back\n rootless-net run -d --net back:alias=db --net bridge --rootfs DIR -- redis-server\n rootless-net exec -it web sh\n rootless-net gc --repair",
    ],
  ],
  seeAlso: ['rootless-run(1)', 'rootlessctl(1)', 'runc(8)', 'crun(1)', 'nft(8)'],
};

export const rootlessctlManual: ManualText = {
  summary: 'add, list and remove the published ports of a running stack',
  sections: [
    ['Exit status', '0, 1 after a line that reports the error, or 3 for an unknown command.'],
    [
      'Environment',
      'ROOTLESSKIT_STATE_DIR is the state directory whose api.sock is used without --socket and --stack. If it is not set, the default stack is used ($XDG_RUNTIME_DIR/rootless-net), otherwise the only running stack.',
    ],
    [
      'Examples',
      ' rootlessctl add-ports 127.0.0.2:9090:90/tcp\n rootlessctl list-ports --counters\n rootlessctl remove-ports 1\n rootlessctl flows -f',
    ],
  ],
  seeAlso: ['rootless-run(1)'],
};
