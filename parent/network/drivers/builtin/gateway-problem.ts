import type { Problem } from '../../../errors.js';
import type { LauncherRequestError } from '../../../namespaces/launcher.js';

/** What is missing if a step fails with one of these errors: options of the kernel's configuration, and modules. */
interface Requirement {
  /** Begins like `what` of the launcher's error. */
  step: string;
  codes: readonly string[];
  lacks: string;
  option: string;
  module?: string;
}

const UNSUPPORTED = ['EOPNOTSUPP', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ENOENT', 'EINVAL', 'ESOCKTNOSUPPORT'];

const REQUIREMENTS: readonly Requirement[] = [
  {
    step: 'load the packet filter: tproxy',
    codes: UNSUPPORTED,
    lacks: 'TPROXY in nf_tables',
    option: 'CONFIG_NFT_TPROXY',
    module: 'nft_tproxy',
  },
  {
    step: 'load the packet filter',
    codes: UNSUPPORTED,
    lacks: 'nf_tables with the family inet',
    option: 'CONFIG_NF_TABLES_INET',
    module: 'nf_tables',
  },
  { step: 'make a veth pair', codes: UNSUPPORTED, lacks: 'veth devices', option: 'CONFIG_VETH', module: 'veth' },
  {
    step: 'add a routing rule',
    codes: UNSUPPORTED,
    lacks: 'policy routing',
    option: 'CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES',
  },
  {
    step: 'open a packet socket',
    codes: UNSUPPORTED,
    lacks: 'packet sockets',
    option: 'CONFIG_PACKET',
    module: 'af_packet',
  },
];

/** Why the launcher could not make a gateway, and what to do about it. */
export function explainGateway({ code, what, message }: LauncherRequestError, device: string): Problem {
  if (what === 'make a veth pair' && code === 'EEXIST') {
    return { what: `the namespace has a device ${device} already`, fix: 'choose another name with --ifname' };
  }
  if (what.startsWith('switch off net.')) {
    const setting = what.slice('switch off '.length);
    return {
      what: `${setting} is on, and cannot be switched off here (${code}): /proc/sys is read-only, as in most containers`,
      fix: `sudo sysctl -w ${setting}=0 on the host, or --net=slirp4netns`,
    };
  }
  if (what === 'unshare net' && code === 'ENOSPC') {
    return {
      what: 'no more network namespaces are allowed (user.max_net_namespaces)',
      fix: 'sudo sysctl -w user.max_net_namespaces=28633',
    };
  }
  const lacking = REQUIREMENTS.find(({ step, codes }) => what.startsWith(step) && codes.includes(code));
  if (!lacking) return { what: message };
  const { lacks, option, module } = lacking;
  return {
    what: `the kernel has no ${lacks} (${option})`,
    fix: module === undefined ? '--net=slirp4netns or --net=pasta' : `sudo modprobe ${module}`,
  };
}
