import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultRuntime } from '../../../../../child/container/oci/runtime.js';
import { tempDir } from '../../../../support/index.js';

describe('the OCI runtime of a container that names none', () => {
  it('is runc, or crun where that alone is installed', () => {
    const [first, second] = [tempDir(), tempDir()];
    const path = `${first}::${second}`;
    assert.equal(defaultRuntime(path), 'runc');
    writeFileSync(join(first, 'crun'), '');
    assert.equal(defaultRuntime(path), 'crun');
    writeFileSync(join(second, 'runc'), '');
    assert.equal(defaultRuntime(path), 'runc');
  });
});
