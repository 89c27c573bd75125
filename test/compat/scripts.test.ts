import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, repoRoot, run } from '../support/index.js';

const directory = join(repoRoot, 'test', 'scripts');

/** Scripts that take any program of RootlessKit's kind; here they get rootlesskit of this project. */
describe('the scripts of test/scripts', function () {
  this.timeout(90_000);
  // The one about cgroups needs one that is delegated: it runs under systemd, see test/system.
  const others = ['common.sh', 'evacuate-cgroup2.sh'];
  for (const name of readdirSync(directory).filter((file) => !others.includes(file))) {
    it(name.replace(/\.sh$/, ''), async () => {
      const { code, stdout, stderr } = await run(join(directory, name), [], {
        timeout: 80_000,
        env: {
          ROOTLESSKIT: binPath('rootlesskit'),
          ROOTLESSCTL: binPath('rootlessctl'),
        },
      });
      assert.equal(code, 0, `${stdout}${stderr}`);
      assert.match(stdout, /^ok /m);
      assert.doesNotMatch(stdout, /^not ok/m);
    });
  }
});
