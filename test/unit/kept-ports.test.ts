import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KeptPorts, KeptPortsError } from '../../parent/port/kept-ports.js';
import type { PortSpec } from '../../protocol/ports.js';
import { tempDir } from '../support/index.js';

const web: PortSpec = { proto: 'tcp', parentIP: '127.0.0.2', parentPort: 8080, childPort: 80 };
const dns: PortSpec = { proto: 'udp', parentPort: 5353, childPort: 53 };

describe('the file of kept ports', () => {
  it('need not be there, and is made with its directory, for the user alone', async () => {
    const path = join(tempDir(), 'settings', 'ports.json');
    const kept = new KeptPorts(path);
    assert.deepEqual(await kept.load(), []);
    assert.equal(existsSync(dirname(path)), false);
    await kept.keep({ id: 1, spec: web });
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [web]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(dirname(path)), ['ports.json']);
  });

  it('has what was kept and not forgotten, however quickly one follows the other', async () => {
    const path = join(tempDir(), 'ports.json');
    const kept = new KeptPorts(path);
    const other = { ...web, parentPort: 8081 };
    await Promise.all([web, dns, other].map((spec, id) => kept.keep({ id, spec })));
    await kept.forget({ id: 1, spec: web });
    await kept.forget({ id: 9, spec: { ...dns, parentPort: 1 } });
    assert.deepEqual(await new KeptPorts(path).load(), [dns, other]);
    assert.deepEqual([kept.has(web), kept.has(dns)], [false, true]);
  });

  it('that is broken is told, left as it is, and not written over', async () => {
    for (const text of [
      'nonsense',
      '{}',
      '[{"proto":"icmp","parentPort":1,"childPort":1}]',
      `[${JSON.stringify(web)}, 7]`,
    ]) {
      const path = join(tempDir(), 'ports.json');
      writeFileSync(path, text);
      const kept = new KeptPorts(path);
      const broken = (error: Error) =>
        error instanceof KeptPortsError && /ports\.json is broken: .*; mend or remove it$/.test(error.message);
      await assert.rejects(kept.load(), broken);
      await assert.rejects(kept.keep({ id: 1, spec: dns }), broken);
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });

  it('that cannot be read or written is told', async () => {
    const path = join(tempDir(), 'ports.json');
    mkdirSync(path);
    await assert.rejects(new KeptPorts(path).load(), /cannot read the kept ports/);
    await assert.rejects(new KeptPorts(path).keep({ id: 1, spec: web }), /cannot write the kept ports/);
  });
});
