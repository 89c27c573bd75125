import type { ManualText } from './manual.js';

const stateDirectory: ManualText['sections'][number] = [
  'Files',
  'The state directory (--state-dir) holds, while the stack runs:',
  ' child_pid     a process in the namespaces, for nsenter(1)\n api.sock      the REST API, which rootlessctl(1) uses\n netns         with --detach-netns, the network namespace\n hosts, resolv.conf   what the command sees in /etc\n lock          held while the stack runs',
];

const environment: ManualText['sections'][number] = [
  'Environment',
  'The command finds ROOTLESSKIT_STATE_DIR, ROOTLESSKIT_PARENT_EUID and ROOTLESSKIT_PARENT_EGID. LISTEN_FDS and LISTEN_PID (sd_listen_fds(3)) are passed on to it, with the descriptors. GETSUBIDS names another getsubids(1), TMPDIR another directory for temporary state.',
];

const signals: ManualText['sections'][number] = [
  'Signals',
  'All that can be caught but SIGCHLD, SIGPIPE and SIGURG are passed on to the command, which is waited for.',
];

const seeAlso = ['rootlessctl(1)', 'slirp4netns(1)', 'pasta(1)', 'newuidmap(1)', 'user_namespaces(7)'];

export const rootlessRunManual: ManualText = {
  summary: 'run a command in a network namespace of its own, without root, and publish its ports',
  sections: [
    [
      'Other commands',
      "rootless-run serve runs the stack without a command, as a service. rootless-run systemd install, uninstall and status make it a unit of the user's systemd. rootless-run doctor examines the machine. Each has --help. A command of such a name is run behind --.",
    ],
    [
      'Exit status',
      "The command's own; 255 when a signal ended it, 127 when it was not found, 126 when it cannot be executed, 1 when the namespaces, the network or a port could not be set up.",
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
      'Exit status',
      "The command's own; 255 when a signal ended it; 1 when it cannot be executed, or when anything else could not be set up. Two lines on standard error tell of every end but exit status 0.",
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
      '0, or 1 after a line that says what failed. run, start --attach and exec end as the program does.',
    ],
    [
      'Files',
      ' $XDG_RUNTIME_DIR/rootless-net        state directory of the stack that is used without --state-dir\n $XDG_DATA_HOME/rootless-net          containers, names, addresses, the journal\n $XDG_CONFIG_HOME/cni/net.d           networks, as CNI network configuration lists',
    ],
    [
      'Environment',
      'ROOTLESSKIT_STATE_DIR is the state directory inside the namespaces of a stack. CNI_PATH has further directories of CNI plugins.',
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
    ['Exit status', '0, or 1 after a line that says what failed.'],
    ['Environment', 'ROOTLESSKIT_STATE_DIR is the state directory whose api.sock is used without --socket.'],
    [
      'Examples',
      ' rootlessctl add-ports 127.0.0.2:9090:90/tcp\n rootlessctl list-ports --counters\n rootlessctl remove-ports 1',
    ],
  ],
  seeAlso: ['rootless-run(1)'],
};
