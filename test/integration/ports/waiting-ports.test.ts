// Persistent ports on addresses that the host gets later, as those of a VPN or by DHCP.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PortSpec } from '../../../protocol/ports/rootlesskit-json.js';
import { binPath, run, tempDir } from '../../support/index.js';

const port = (parentIP: string, parentPort: number, proto = 'tcp'): PortSpec => ({
  proto,
  parentIP,
  parentPort,
  childPort: 80,
});

/**
 * Runs a script as root of a network namespace that plays the host, with a stack that has these persistent ports. Its
 * functions: `ctl` is rootlessctl, `until_port PATTERN` waits until list-ports has such a line.
 */
async function onHost(ports: readonly PortSpec[], script: string, before = '') {
  const home = tempDir();
  mkdirSync(join(home, 'run'), { mode: 0o700 });
  mkdirSync(join(home, 'config', 'rootless-net'), { recursive: true });
  const file = join(home, 'config', 'rootless-net', 'ports.json');
  writeFileSync(file, JSON.stringify(ports));
  const whole = `
    ip link set lo up
    ${before}
    ctl() { ${binPath('rootlessctl')} --socket=$XDG_RUNTIME_DIR/rootless-net/api.sock "$@"; }
    until_port() { for try in $(seq 200); do ctl list-ports --counters | grep -q "$1" && return; sleep 0.05; done; echo "never: $1"; ctl list-ports; }
    "$@" serve --net=none 2>$HOME/log & serve=$!
    until [ -S $XDG_RUNTIME_DIR/rootless-net/api.sock ]; do sleep 0.05; kill -0 $serve; done
    ${script}
    kill $serve; wait $serve || echo "serve: $?"; cat $HOME/log >&2`;
  const namespaces = ['--user', '--map-root-user', '--net', '--mount'];
  const words = [binPath('rootless-run')];
  const env = {
    HOME: home,
    XDG_RUNTIME_DIR: join(home, 'run'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'data'),
  };
  const result = await run('unshare', [...namespaces, 'sh', '-euc', whole, 'sh', ...words], { env });
  return { ...result, kept: JSON.parse(readFileSync(file, 'utf8')) as PortSpec[] };
}

describe('a persistent port whose address the host does not have yet', () => {
  for (const [family, address, add] of [
    ['IPv4', '10.97.1.1', 'ip addr add 10.97.1.1/24 dev lo'],
    ['IPv6', 'fd97::1', 'ip addr add fd97::1/64 dev lo'],
  ] as const) {
    it(`is listed as waiting, and published when the address comes: ${family}`, async () => {
      const host = family === 'IPv6' ? `[${address}]` : address;
      const { stdout, stderr, code } = await onHost(
        [port(address, 8080), port('127.0.0.2', 8081)],
        `ctl list-ports; ${add}; until_port '${address.replaceAll('.', '\\.')} .* yes *$'; ctl list-ports
         nsenter -U --preserve-credentials -n -t $(cat $XDG_RUNTIME_DIR/rootless-net/child_pid) \
           socat TCP-LISTEN:80 SYSTEM:'echo hello' & server=$!
         for try in $(seq 100); do socat -T2 - TCP:${host}:8080 </dev/null 2>/dev/null | grep hello && break; sleep 0.05; done; wait $server`,
      );
      const [first = '', second = ''] = stdout.split(/(?=^ID)/m);
      assert.match(
        first,
        new RegExp(`^(\\d+) +tcp +${address} +8080 +80 +waiting: .*cannot assign requested address`, 'm'),
      );
      assert.match(first, /^\d+ +tcp +127\.0\.0\.2 +8081 +80 +listening *$/m);
      // It keeps its id.
      const id = new RegExp(`^(\\d+) +tcp +${address}`, 'm').exec(first)?.[1];
      assert.match(second, new RegExp(`^${id} +tcp +${address} +8080 +80 *$`, 'm'));
      assert.match(second, /^hello$/m);
      const lines = stderr.trim().split('\n');
      assert.match(lines[0] ?? '', /^rootless-run: warning: persistent port .*8080:80\/tcp is waiting: listen tcp /);
      assert.match(lines[1] ?? '', /^rootless-run: persistent port .*8080:80\/tcp is published now$/);
      assert.equal(lines.length, 2, stderr);
      assert.equal(code, 0);
    });
  }

  it('can be removed while it waits, and stays removed', async () => {
    const { stdout, kept } = await onHost(
      [port('10.97.1.1', 8080), port('10.97.1.1', 8082)],
      `id=$(ctl list-ports | grep 8080 | cut -d' ' -f1); ctl remove-ports $id
       ip addr add 10.97.1.1/24 dev lo; until_port '10.97.1.1 *8082 .* yes *$'; ctl list-ports`,
    );
    assert.doesNotMatch(stdout, /8080/);
    assert.match(stdout, /10\.97\.1\.1 +8082 +80 *$/m);
    assert.deepEqual(kept, [port('10.97.1.1', 8082)]);
  });

  it('waits again after a reload, and no longer if the file does not have it any more', async () => {
    const { stdout } = await onHost(
      [port('10.97.1.1', 8080)],
      `before=$(ctl list-ports | grep 8080)
       sed 's/]$/,{"proto":"tcp","parentIP":"127.0.0.5","parentPort":8090,"childPort":80}]/' -i $XDG_CONFIG_HOME/rootless-net/ports.json
       kill -HUP $serve; until_port '127.0.0.5 *8090 '
       [ "$before" = "$(ctl list-ports | grep 8080)" ] && echo same
       echo '[]' > $XDG_CONFIG_HOME/rootless-net/ports.json; kill -HUP $serve
       until ! ctl list-ports | grep -q 8080; do sleep 0.05; done; ctl list-ports`,
    );
    assert.match(stdout, /^same\nID [^\n]*\n\d+ +tcp +127\.0\.0\.5 +8090 +80 *\n$/);
  });

  it('delays no other, and neither does one whose port is in use, which is reported too', async () => {
    const { stdout } = await onHost(
      [port('10.97.1.1', 8080), port('127.0.0.2', 8081), port('127.0.0.3', 8082)],
      'ctl list-ports; kill $other',
      'socat TCP-LISTEN:8081,bind=127.0.0.2 - </dev/null & other=$!; until ss -Hltn | grep -q 127.0.0.2:8081; do sleep 0.05; done',
    );
    assert.match(stdout, /10\.97\.1\.1 +8080 +80 +waiting: .*cannot assign requested address/);
    assert.match(stdout, /127\.0\.0\.2 +8081 +80 +waiting: .*address already in use/);
    assert.match(stdout, /127\.0\.0\.3 +8082 +80 +listening *$/m);
  });
});
