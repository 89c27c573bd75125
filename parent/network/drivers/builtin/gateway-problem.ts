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
  /** What to do; to load the module unless given, or to choose another driver. */
  fix?: string;
}

/** Node calls EOPNOTSUPP, which has the same number, ENOTSUP. */
const UNSUPPORTED = ['ENOTSUP', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ENOENT', 'EINVAL', 'ESOCKTNOSUPPORT'];

const OTHERS = '--net=slirp4netns or --net=pasta';

const REQUIREMENTS: readonly Requirement[] = [
  {
    // Tried where there is no TPROXY.
    step: 'load the packet filter: nat',
    codes: UNSUPPORTED,
    lacks: 'TPROXY in nf_tables, nor NAT to replace it',
    option: 'CONFIG_NFT_TPROXY, CONFIG_NFT_NAT',
    module: 'nft_tproxy',
  },
  {
    step: 'receive the mark of datagrams',
    codes: ['ENOPROTOOPT'],
    lacks: 'TPROXY in nf_tables, and is too old for the alternative',
    option: 'CONFIG_NFT_TPROXY, or Linux 5.19',
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
    // Of its settings.
    step: 'switch on IPv6',
    codes: ['ENOENT'],
    lacks: 'IPv6',
    option: 'CONFIG_IPV6; or it was started with ipv6.disable=1',
    fix: 'leave out --ipv6',
  },
  {
    step: 'add a routing rule of IPv6',
    codes: UNSUPPORTED,
    lacks: 'IPv6 with policy routing',
    option: 'CONFIG_IPV6_MULTIPLE_TABLES',
    fix: 'leave out --ipv6',
  },
  {
    step: 'add a routing rule',
    codes: UNSUPPORTED,
    lacks: 'policy routing',
    option: 'CONFIG_IP_MULTIPLE_TABLES',
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
export function explainGateway(error: LauncherRequestError, device: string): Problem {
  return surroundings(error, device) ?? missing(error) ?? { what: error.message };
}

/** What is not the kernel's own doing. */
function surroundings({ code, what }: LauncherRequestError, device: string): Problem | undefined {
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
  if (what === 'open a packet socket' && (code === 'EPERM' || code === 'EACCES')) {
    return {
      what: 'packet sockets are refused here: by a filter of system calls (seccomp), as some containers have one',
      fix: `a seccomp profile that allows socket(AF_PACKET), or ${OTHERS}`,
    };
  }
  if (what === 'switch on IPv6' && code !== 'ENOENT') {
    return {
      what: `IPv6 is switched off in new network namespaces, and cannot be switched on here (${code})`,
      fix: 'leave out --ipv6',
    };
  }
  if (what === 'unshare net' && code === 'ENOSPC') {
    return {
      what: 'no more network namespaces are allowed (user.max_net_namespaces)',
      fix: 'sudo sysctl -w user.max_net_namespaces=28633',
    };
  }
  return undefined;
}

function missing({ code, what }: LauncherRequestError): Problem | undefined {
  const lacking = REQUIREMENTS.find(({ step, codes }) => what.startsWith(step) && codes.includes(code));
  if (!lacking) return undefined;
  const { lacks, option, module, fix = module === undefined ? OTHERS : `sudo modprobe ${module}` } = lacking;
  return { what: `the kernel has no ${lacks} (${option})`, fix };
}

/** Whether it may work without IPv6. */
export function isAboutIPv6({ what }: LauncherRequestError): boolean {
  return what.includes('IPv6');
}
