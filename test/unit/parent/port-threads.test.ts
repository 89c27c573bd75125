import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupCPUs, usualPortThreads } from '../../../parent/engine/threads.js';
import { tempDir } from '../../support/index.js';

describe('the number of threads that relay', () => {
  for (const [cpus, threads] of [
    [1, 1],
    [2, 1],
    [3, 3],
    [4, 4],
    [64, 4],
  ] as const) {
    it(`is ${threads} on ${cpus} CPUs`, () => assert.equal(usualPortThreads(cpus), threads));
  }

  describe('counts the CPUs that cgroups leave', () => {
    /** @param quotas by path, as in cpu.max */
    function cgroups(quotas: Record<string, string>): string {
      const root = tempDir();
      for (const [path, quota] of Object.entries(quotas)) {
        mkdirSync(join(root, path), { recursive: true });
        writeFileSync(join(root, path, 'cpu.max'), `${quota}\n`);
      }
      return root;
    }

    it('without a quota', () =>
      assert.equal(cgroupCPUs(cgroups({ 'a/b': 'max 100000' }), '/a/b'), Number.POSITIVE_INFINITY));
    it('with one above', () =>
      assert.equal(cgroupCPUs(cgroups({ a: '350000 100000', 'a/b': 'max 100000' }), '/a/b'), 3));
    it('with the smallest of several', () =>
      assert.equal(cgroupCPUs(cgroups({ a: '800000 100000', 'a/b': '200000 50000' }), '/a/b'), 4));
    it('of less than one CPU', () => assert.equal(cgroupCPUs(cgroups({ a: '5000 100000' }), '/a'), 1));
    it('without the controller', () => assert.equal(cgroupCPUs(cgroups({}), '/a/b'), Number.POSITIVE_INFINITY));
  });
});
