import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../../setup/machine/requirements.js';
import { type RunningStack, run, startStack, tempDir } from '../../../support/index.js';
import { pythonProgram } from '../../../support/paths.js';
import { debianRepository, gitRepository, npmRegistry } from '../../../support/servers/package-sources.js';
import { resolver } from '../../../support/servers/resolver.js';
import { type WebServer, webServer } from '../../../support/servers/web-server.js';
import { onInternet, SITES } from '../../../support/stacks/internet.js';

const SHARED = SITES[4].open;
const OWN = '100.200.0.2';
const DEAD = '100.200.0.3';
const IDLE = "import threading; print('ready', flush=True); threading.Event().wait()";

/** Where names lead to; those that the policy allows are ALLOWED. */
const NAMES = {
  'registry.test': [SHARED, SITES[6].open],
  // The same server has it, and no rule allows it.
  'tracker.test': [SHARED, SITES[6].open],
  // The address that is preferred is dead.
  'half-dead.test': [DEAD, SITES[6].open],
  'mail.test': [OWN],
  'cache.test': { alias: 'cache.cdn.test' },
  'cache.cdn.test': { alias: 'node7.cdn.test' },
  'node7.cdn.test': [OWN],
  'git.corp.test': [OWN],
};
const ALLOWED = ['registry.test', 'half-dead.test', 'mail.test:25', 'cache.test:6379', 'git.corp.test:9418'];

describe('programs in a stack whose policy allows some names', function () {
  this.timeout(60_000);
  let directory: string;
  let web: WebServer;
  let stack: RunningStack;
  let lock: string;

  before(async () => {
    directory = tempDir();
    web = webServer(directory, ['registry.test', 'tracker.test', 'half-dead.test', 'mail.test']);
    lock = npmRegistry(web.folder('registry.test'), 'https://registry.test');
    mkdirSync(join(web.folder('registry.test'), 'debian'));
    debianRepository(join(web.folder('registry.test'), 'debian'));
    gitRepository(join(web.folder('registry.test'), 'project.git'));
    const mail = join(directory, 'mail-server.py');
    writeFileSync(mail, pythonProgram('outbound/mail-server'));
    const script = `
      echo 'search first.test corp.test' >>"$1"
      $behind ip addr add ${OWN}/32 dev lo
      $behind ip route add blackhole ${DEAD}
      there ${web.words.map((word) => `'${word}'`).join(' ')} &
      there git daemon --reuseaddr --export-all --base-path=${web.folder('registry.test')} &
      there redis-server --bind ${OWN} --save '' --protected-mode no >/dev/null &
      there python3 ${mail} ${web.certificate} ${web.key} &
      here ${resolver(NAMES).join(' ')} &
      for port in 443 9418 6379 25; do until_listening $port; done`;
    stack = await startStack({
      args: ['--net=builtin', '--ipv6', ...ALLOWED.flatMap((rule) => ['--allow', rule])],
      wrapper: onInternet(tempDir(), script, IDLE),
      env: { HOME: directory },
    });
  });
  after(() => stack?.[Symbol.asyncDispose]());

  /** Runs a script inside, in a new directory; what it prints, and its exit code if that is not 0. */
  async function outcome(script: string): Promise<string> {
    const settings = `HOME=${directory} GIT_SSL_CAINFO=${web.authority} SSL_CERT_FILE=${web.authority} CURL_CA_BUNDLE=${web.authority}`;
    const work = tempDir();
    const { code, stdout, stderr } = await stack.enter('sh', '-c', `cd ${work}; export ${settings}; ${script}`);
    return `${stdout}${stderr}${code === 0 ? '' : `exit code ${code}\n`}`.trimEnd();
  }
  const curl = (words: string) => outcome(`curl -sS --max-time 10 ${words}`);

  if (findProgram('npm') !== undefined) {
    it('npm installs from the registry that is allowed, and names the one that is not', async () => {
      const from = (files: string) => `
        echo '${files}' >package-lock.json; echo '{"name":"user","dependencies":{"hello":"1.0.0"}}' >package.json
        npm ci --no-audit --no-fund --fetch-retries=0 --loglevel=error --cache=cache --cafile=${web.authority}`;
      assert.match(await outcome(`${from(lock)} && node -p 'require("hello")'`), /hello from a package$/);
      const refused = await outcome(from(lock.replaceAll('registry.test', 'tracker.test')));
      assert.match(refused, /getaddrinfo EAI_AGAIN tracker\.test/);
    });
  }

  it('git clones over HTTPS and its own protocol', async () => {
    assert.equal(
      await outcome('git clone -q https://registry.test/project.git a && git -C a log --format=%s'),
      'first',
    );
    assert.equal(await outcome('git clone -q git://git.corp.test/project.git b && git -C b log --format=%s'), 'first');
    assert.match(
      await outcome('git clone -q https://tracker.test/project.git c'),
      /Could not resolve host: tracker\.test/,
    );
    assert.match(await outcome('git clone -q git://192.0.2.7/project.git d'), /No route to host/);
  });

  it('apt-get updates from the repository that is allowed, and fetches a package', async () => {
    const apt = `mkdir -p state/lists/partial cache/archives/partial etc; : >state/status
      apt() { apt-get -qq -o Dir::Etc=$PWD/etc -o Dir::State=$PWD/state -o Dir::Cache=$PWD/cache -o Dir::State::status=$PWD/state/status \
        -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::Languages=none "$@"; }
      from() { echo "deb [trusted=yes] $1 ./" >etc/sources.list; apt update; }`;
    assert.match(
      await outcome(`${apt}; from http://registry.test/debian && apt download hello-test && dpkg-deb -f *.deb Version`),
      /^1$/m,
    );
    assert.match(
      await outcome(`${apt}; from http://tracker.test/debian`),
      /Temporary failure resolving .tracker\.test./,
    );
  });

  it('curl reaches one of several names at an address, whatever it is told about the others', async () => {
    const shown = 'registry.test HTTP/2.0';
    assert.equal(await curl('https://registry.test/version'), shown);
    assert.equal(await curl(`--resolve registry.test:443:${SHARED} https://registry.test/version`), shown);
    assert.match(await curl('https://tracker.test/version'), /Could not resolve host: tracker\.test/);
    for (const words of [
      `--resolve tracker.test:443:${SHARED} https://tracker.test/version`,
      '--connect-to ::registry.test: https://tracker.test/version',
      `-k https://${SHARED}/version`,
      '-H "Host: tracker.test" http://registry.test/version',
    ]) {
      assert.match(await curl(words), /Connection reset by peer/, words);
    }
  });

  it('curl goes on to the next address where one is dead', async () => {
    assert.equal(await curl('-o /dev/null -w "%{remote_ip}" http://half-dead.test/version'), SITES[6].open);
  });

  it('those whose servers speak first work, also where they go on in TLS, and through aliases', async () => {
    const mail = `import smtplib, ssl
c = smtplib.SMTP('mail.test', 25, timeout=10); c.starttls(context=ssl.create_default_context()); print(c.noop()[0], c.quit()[0])`;
    assert.equal(await outcome(`python3 -c "${mail}"`), '250 221');
    assert.equal(await outcome('redis-cli -h cache.test ping'), 'PONG');
    assert.match(await outcome('redis-cli -h node7.cdn.test ping'), /Could not connect/);
  });

  it('names are completed by the search list as on the host, past those that are denied', async () => {
    const onHost = ['--user', '--net', '--mount', '--preserve-credentials', `--target=${stack.started.pid}`, '--'];
    const { stdout } = await run('nsenter', [...onHost, 'getent', 'hosts', 'git']);
    assert.match(stdout, /^100\.200\.0\.2 +git\.corp\.test$/m);
    assert.equal(await outcome('getent hosts git'), stdout.trimEnd());
    assert.equal(await outcome('dig +search +short git'), OWN);
    assert.equal(await outcome('dig +tcp +short registry.test'), SHARED);
    // Not refused: resolvers would not go on with the list. The reason is in the answer (RFC 8914).
    assert.match(await outcome('dig tracker.corp.test'), /status: NXDOMAIN(.|\n)*EDE: 15 \(Blocked\)/);
    assert.match(await outcome('dig tracker.test'), /status: REFUSED(.|\n)*EDE: 15 \(Blocked\)/);
    assert.match(await outcome('dig +notcp ANY registry.test'), /status: REFUSED/);
  });
});
