import assert from 'node:assert/strict';
import { binPath, run, startStack, waitFor } from '../../support/index.js';
import { ownHost } from '../../support/stacks/own-host.js';

describe('the user-mode network', () => {
  const host = ownHost('ip addr add 10.0.2.15/24 dev up0; ip route add 10.0.3.0/24 dev up0');
  const show = ['sh', '-c', 'ip -4 -br addr show tap0; cat /etc/resolv.conf'];
  const inside = async (command: 'rootless-run' | 'rootlesskit', ...args: string[]) => {
    const [program = '', ...words] = [...host.wrapper, binPath(command), ...args, ...show];
    const { code, stdout, stderr } = await run(program, words);
    assert.equal(code, 0, stderr);
    return { stderr, text: stdout.replaceAll(/ +/g, ' ') };
  };

  for (const driver of ['slirp4netns', 'pasta']) {
    it(`of ${driver} is another one if the host reaches the usual one by a route of its own`, async () => {
      const { text, stderr } = await inside('rootless-run', `--net=${driver}`);
      assert.match(text, /10\.0\.4\.100\/24(.*\n)+nameserver 10\.0\.4\.3\n/);
      assert.equal(stderr, '');
    });
  }

  it('is that of --cidr, and a line reports what it overlaps', async () => {
    const { text, stderr } = await inside('rootless-run', '--net=slirp4netns', '--cidr=10.0.3.0/24');
    assert.match(text, / 10\.0\.3\.100\/24/);
    assert.equal(
      stderr,
      "rootless-run: warning: 10.0.3.0/24 overlaps the host's route 10.0.3.0/24 dev up0, which is unreachable inside; hint: choose another network with --cidr, such as 10.0.4.0/24\n",
    );
  });

  it('is reported when the host gets a route of its own to it', async () => {
    await using stack = await startStack({ args: ['--net=slirp4netns'], wrapper: host.wrapper });
    const lines = () => stack.started.output().match(/^.*own network.*$/gm) ?? [];
    let last = 200;
    await waitFor(
      async () => {
        // The watch begins a moment after the command, and what is there by then is not news; the lowest comes first.
        await host.must(stack.started.pid, 'ip', 'route', 'add', `10.0.4.${last--}`, 'dev', 'up0');
        return lines().length > 0;
      },
      { what: 'the warning' },
    );
    assert.match(
      lines()[0] ?? '',
      /^rootless-run: warning: the stack's own network 10\.0\.4\.0\/24 \(slirp4netns\) overlaps the host's route 10\.0\.4\.\d+\/32 dev up0, which is unreachable inside; hint: /,
    );
  });

  it("stays where it is under RootlessKit's name", async () => {
    const { text } = await inside('rootlesskit', '--net=slirp4netns', '--disable-host-loopback');
    assert.match(text, / 10\.0\.2\.100\/24/);
  });
});
