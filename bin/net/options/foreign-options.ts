/**
 * Options of `docker run` that are not supported: they are known, so that the error of a docker command line names an
 * alternative. Options that request the only behaviour there is are accepted and ignored.
 */
import { type Command, Option } from 'commander';
import { UsageError } from '../../../parent/errors.js';

interface ForeignOption {
  /** In commander's notation. */
  flags: string;
  /** How to achieve the same. */
  hint: string;
  /** Values that request the only behaviour there is. */
  harmless?: readonly string[];
}

const CONFIG = 'put it into the config.json of an OCI bundle and use --bundle DIR';
const CGROUP = `limit the stack's unit with systemd (systemctl --user edit), or ${CONFIG}`;
export const IMAGES = 'images are not supported; unpack one into a directory and use --rootfs DIR';

const withHint = (hint: string, ...flags: string[]): ForeignOption[] => flags.map((flag) => ({ flags: flag, hint }));

export const FOREIGN_OPTIONS: readonly ForeignOption[] = [
  ...withHint(
    CGROUP,
    '-m, --memory <bytes>',
    '--memory-reservation <bytes>',
    '--memory-swap <bytes>',
    '--memory-swappiness <number>',
    '--kernel-memory <bytes>',
    '--cpus <number>',
    '-c, --cpu-shares <number>',
    '--cpu-period <number>',
    '--cpu-quota <number>',
    '--cpu-rt-period <number>',
    '--cpu-rt-runtime <number>',
    '--cpu-count <number>',
    '--cpu-percent <number>',
    '--cpuset-cpus <cpus>',
    '--cpuset-mems <nodes>',
    '--blkio-weight <number>',
    '--blkio-weight-device <device>',
    '--device-read-bps <rate>',
    '--device-read-iops <rate>',
    '--device-write-bps <rate>',
    '--device-write-iops <rate>',
    '--io-maxbandwidth <bytes>',
    '--io-maxiops <number>',
  ),
  ...withHint(
    CONFIG,
    '--cgroup-parent <path>',
    '--cgroupns <mode>',
    '--device-cgroup-rule <rule>',
    '--oom-kill-disable',
    '--oom-score-adj <number>',
    '--userns <mode>',
  ),
  ...withHint(
    'mount the device file (-v /dev/NAME:/dev/NAME), if the user may open it on the host',
    '--device <device>',
    '--gpus <devices>',
  ),
  {
    flags: '--privileged',
    hint: 'use the options that are needed, such as --cap-add NET_ADMIN, --cap-add ALL, --security-opt seccomp=unconfined',
  },
  { flags: '--pid <mode>', hint: CONFIG, harmless: ['private'] },
  { flags: '--ipc <mode>', hint: CONFIG, harmless: ['private', 'shareable'] },
  { flags: '--uts <mode>', hint: CONFIG, harmless: ['private'] },
  { flags: '--isolation <technology>', hint: 'only Linux containers are supported', harmless: ['default'] },
  ...withHint(
    'run the check from outside, for example with a systemd timer and rootless-net exec',
    '--health-cmd <command>',
    '--health-interval <duration>',
    '--health-retries <number>',
    '--health-start-interval <duration>',
    '--health-start-period <duration>',
    '--health-timeout <duration>',
  ),
  ...withHint(IMAGES, '--platform <platform>'),
  { flags: '--pull <policy>', hint: IMAGES, harmless: ['missing', 'never'] },
  ...withHint(
    'mount a directory with -v SOURCE:TARGET',
    '--volumes-from <container>',
    '--volume-driver <driver>',
    '--storage-opt <option>',
  ),
  ...withHint(
    'connect both containers to one network (--network NAME), on which they resolve each other by name',
    '--link <container>',
    '--link-local-ip <address>',
  ),
  { flags: '-a, --attach <stream>', hint: 'without -d all streams are attached; with -d, use rootless-net attach' },
  { flags: '--use-api-socket', hint: 'mount the socket of the API with -v' },
];

/** Switches that request the only behaviour there is. */
const WITHOUT_EFFECT = ['--disable-content-trust', '--no-healthcheck', '-q, --quiet'];

/** Options of other commands, by name. */
const FOREIGN_OPTIONS_OF: Readonly<Record<string, readonly ForeignOption[]>> = {
  exec: [
    {
      flags: '--privileged',
      hint: 'programs have the privileges of their container: run it with --cap-add, or --security-opt seccomp=unconfined',
    },
    { flags: '--detach-keys <keys>', hint: 'run it with -d' },
  ],
  start: [
    { flags: '--checkpoint <name>', hint: 'checkpoints are not supported; use the OCI runtime: runc restore' },
    { flags: '--checkpoint-dir <dir>', hint: 'checkpoints are not supported; use the OCI runtime: runc restore' },
  ],
  attach: [],
  rm: [{ flags: '-l, --link', hint: 'links are not supported; use network disconnect' }],
};

export function withForeignOptions(command: Command): Command {
  for (const { flags, hint, harmless = [] } of FOREIGN_OPTIONS_OF[command.name()] ?? FOREIGN_OPTIONS) {
    const option = new Option(flags).hideHelp();
    const name = option.long ?? flags;
    option.argParser((value?: string) => {
      if (value !== undefined && harmless.includes(value)) return value;
      const given = value === undefined || harmless.length === 0 ? name : `${name}=${value}`;
      throw new UsageError(`${given} is not supported`, { hint });
    });
    command.addOption(option);
  }
  if (command.name() in FOREIGN_OPTIONS_OF) return command;
  for (const flags of WITHOUT_EFFECT) command.addOption(new Option(flags).hideHelp());
  return command;
}
