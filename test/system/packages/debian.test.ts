import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { testPath } from '../../setup/machine/requirements.js';
import { repoRoot, run, tempDir } from '../../support/index.js';

/** A root file system of Debian 13, the first with a Node.js that is new enough; kept between runs. */
const BASE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rootless-net-build', 'trixie.tar');
const NEW_BASE = BASE.replace(/tar$/, 'new.tar');
/** What the package depends on, and what checks it. */
const INCLUDED = 'nodejs,uidmap,apparmor';

/** The commands of the Dockerfile's last stage. */
function dockerfileSteps(): string[] {
  const text = readFileSync(join(repoRoot, 'Dockerfile'), 'utf8').replaceAll('\\\n', '');
  const last = text.slice(text.lastIndexOf('\nFROM '));
  return [...last.matchAll(/^RUN (?:--mount=\S+ +)*(.*)$/gm)].map(([, command = '']) => command);
}

describe('the Debian package, in a clean Debian 13', function () {
  this.timeout(120_000);
  let root: string;
  /** The files of the system before. */
  let before_: string[];

  /** Runs a command in it, in namespaces of its own. */
  const inside = (...words: string[]) =>
    run('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', ENTER, 'sh', root, ...words], {
      timeout: 100_000,
      env: { TMPDIR: undefined, PATH: testPath, LC_ALL: 'C.UTF-8', HOME: '/root' },
    });
  const succeeds = async (...words: string[]) => {
    const { code, stdout, stderr } = await inside(...words);
    assert.equal(code, 0, `${words.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  const ENTER = [
    'root=$1; shift',
    // Not chroot(8): in there the kernel makes no user namespaces.
    'mount --bind "$root" "$root" && cd "$root" && mount --rbind /dev dev && mount -t proc proc proc',
    `mount -t sysfs sysfs sys && mount --bind ${join(repoRoot, 'prebuilt')} packages`,
    'pivot_root . . && umount -l . && exec "$@"',
  ].join(' && ');
  /** Without what apt and dpkg keep for themselves, and what users have. */
  const files = async () =>
    (
      await succeeds(
        'find',
        '/',
        '-xdev',
        '(',
        '-path',
        '/packages',
        '-o',
        '-path',
        '/proc',
        '-o',
        '-path',
        '/dev',
        '-o',
        '-path',
        '/sys',
        ')',
        '-prune',
        '-o',
        '-type',
        'f',
        '-print',
      )
    )
      .split('\n')
      .filter(
        (path) =>
          !/^\/(var\/(lib|cache|log)|etc\/(passwd|group|shadow|gshadow|subuid|subgid)-?$|home|tmp|run|etc\/\.pwd)/.test(
            path,
          ),
      );

  before(async function () {
    this.timeout(900_000);
    if (process.getuid?.() !== 0 || process.arch !== 'x64') this.skip();
    const made = spawnSync(process.execPath, [join(repoRoot, 'scripts/packages/deb.mjs'), '--built'], {
      encoding: 'utf8',
      env: { ...process.env, PATH: testPath },
    });
    assert.equal(made.status, 0, made.stdout + made.stderr);
    if (!existsSync(BASE)) {
      mkdirSync(dirname(BASE), { recursive: true });
      const options = ['--variant=minbase', `--include=${INCLUDED}`, '--quiet', 'trixie', NEW_BASE];
      const base = await run('mmdebstrap', options, { timeout: 600_000, env: { TMPDIR: undefined, PATH: testPath } });
      assert.equal(base.code, 0, base.stderr);
      renameSync(NEW_BASE, BASE);
    }
    root = tempDir();
    assert.equal(spawnSync('tar', ['-xpf', BASE, '-C', root]).status, 0);
    spawnSync('chmod', ['755', root]);
    mkdirSync(join(root, 'packages'));
    before_ = await files();
  });

  it('is installed by the commands of the Dockerfile', async () => {
    spawnSync('cp', ['/etc/resolv.conf', join(root, 'etc/resolv.conf')]);
    const steps = dockerfileSteps();
    assert(steps.length > 0);
    for (const step of steps) await succeeds('sh', '-ec', step);
    assert.match(await succeeds('dpkg', '--status', 'rootless-net'), /^Status: install ok installed$/m);
  });

  it('has commands that work for a user, with a cache of code', async () => {
    const command = 'rootless-run --net=none --copy-up=/etc -- echo it works';
    assert.match(await succeeds('su', 'app', '-c', `XDG_RUNTIME_DIR=/tmp ${command}`), /^it works$/m);
    for (const name of ['rootless-run', 'rootless-net', 'rootlessctl', 'rootlesskit']) {
      assert.match(await succeeds('su', 'app', '-c', `${name} --version`), /\d+\.\d+\.\d+/);
      await succeeds('test', '-s', `/usr/share/man/man1/${name}.1.gz`);
    }
    assert.match(await succeeds('sh', '-c', 'ls /usr/lib/rootless-net/dist/programs/*.cache'), /rootless-run/);
  });

  it('has a unit, and a profile that is valid', async () => {
    const unit = await succeeds('cat', '/usr/lib/systemd/user/rootless-net.service');
    assert.match(unit, /^ExecStart="?\/usr\/bin\/rootless-run"? "?serve"?$/m);
    const profile = '/etc/apparmor.d/usr.lib.rootless-net.native.build.Release.launcher';
    assert.match(
      await succeeds('cat', profile),
      /profile \S+ \/usr\/lib\/rootless-net\/\S+\/launcher flags=\(unconfined\)/,
    );
    await succeeds('apparmor_parser', '--skip-kernel-load', '--skip-cache', profile);
  });

  it('leaves nothing behind when it is removed', async () => {
    await succeeds('dpkg', '--remove', 'rootless-net');
    const left = (await files()).filter((path) => !before_.includes(path));
    assert.deepEqual(left, []);
    assert.match((await inside('dpkg', '--status', 'rootless-net')).stdout, /^$|deinstall/);
  });
});
