import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PersistentPorts, PersistentPortsError } from '../../../../parent/port/persistent-ports.js';
import { part } from '../../../../protocol/ports/port-mapping.js';
import { type PortSpec, parsePortSpecJSON } from '../../../../protocol/ports/rootlesskit-json.js';
import { tempDir } from '../../../support/index.js';

const web: PortSpec = { proto: 'tcp', parentIP: '127.0.0.2', parentPort: 8080, childPort: 80 };
const dns: PortSpec = { proto: 'udp', parentPort: 5353, childPort: 53 };

const mapping = parsePortSpecJSON;

describe('the file of persistent ports', () => {
  it('need not be there, and is made with its directory, for the user alone', async () => {
    const path = join(tempDir(), 'settings', 'ports.json');
    const kept = new PersistentPorts(path);
    assert.deepEqual(await kept.load(), []);
    assert.equal(existsSync(dirname(path)), false);
    await kept.keep(mapping(web));
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [web]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(dirname(path)), ['ports.json']);
  });

  it('has what was kept and not forgotten, however quickly one follows the other', async () => {
    const path = join(tempDir(), 'ports.json');
    const kept = new PersistentPorts(path);
    const other = { ...web, parentPort: 8081 };
    await Promise.all([web, dns, other].map((spec) => kept.keep(mapping(spec))));
    await kept.forget(mapping(web));
    await kept.forget(mapping({ ...dns, parentPort: 1 }));
    assert.deepEqual(new Set(await new PersistentPorts(path).load()), new Set([dns, other].map(mapping)));
    assert.deepEqual([kept.has(mapping(web)), kept.has(mapping(dns))], [false, true]);
  });

  it('has its ports in the order in which they were added, so that their ids stay', async () => {
    const path = join(tempDir(), 'ports.json');
    const kept = new PersistentPorts(path);
    const low: PortSpec = { ...web, parentPort: 8000, count: 5 };
    const specs = [web, dns, low, { ...web, proto: 'udp' }];
    for (const spec of specs) await kept.keep(mapping(spec));
    const reader = new PersistentPorts(path);
    assert.deepEqual(await reader.load(), specs.map(mapping));
    await reader.forget(part(mapping(low), 2));
    await reader.keep(mapping({ ...web, childPort: 81 }));
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [
      { ...web, childPort: 81 },
      dns,
      { ...low, count: 2 },
      { ...low, parentPort: 8003, childPort: 83, count: 2 },
      { ...web, proto: 'udp' },
    ]);
  });

  it('has a range as one entry, and what remains of it', async () => {
    const path = join(tempDir(), 'ports.json');
    const kept = new PersistentPorts(path);
    const range = mapping({ ...web, count: 10 });
    await kept.keep(range);
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [{ ...web, count: 10 }]);
    await kept.forget(part(range, 4));
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [
      { ...web, count: 4 },
      { ...web, parentPort: 8085, childPort: 85, count: 5 },
    ]);
    assert.deepEqual([kept.has(range), kept.has(part(range, 4)), kept.has(part(range, 5, 5))], [false, false, true]);
  });

  it('that is invalid is reported, left as it is, and not overwritten', async () => {
    for (const text of [
      'nonsense',
      '{}',
      '[{"proto":"icmp","parentPort":1,"childPort":1}]',
      `[${JSON.stringify(web)}, 7]`,
    ]) {
      const path = join(tempDir(), 'ports.json');
      writeFileSync(path, text);
      const kept = new PersistentPorts(path);
      const broken = (error: Error) =>
        error instanceof PersistentPortsError && /ports\.json is broken: .*; repair or remove it$/.test(error.message);
      await assert.rejects(kept.load(), broken);
      await assert.rejects(kept.keep(mapping(dns)), broken);
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });

  it('that cannot be read or written is reported', async () => {
    const path = join(tempDir(), 'ports.json');
    mkdirSync(path);
    await assert.rejects(new PersistentPorts(path).load(), /cannot read the persistent ports/);
    await assert.rejects(new PersistentPorts(path).keep(mapping(web)), /cannot write the persistent ports/);
  });
});
