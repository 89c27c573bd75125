import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerError } from '../../../../../child/container/errors.js';
import { OWN, seccompFrom } from '../../../../../child/container/oci/seccomp/default-profile.js';
import { seccompOf } from '../../../../../child/container/oci/seccomp/index.js';
import { configOf, parseProfile, type SeccompConfig } from '../../../../../child/container/oci/seccomp/profile.js';
import { tempDir } from '../../../../support/index.js';

const X64 = { name: 'amd64', architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'] };

/** What becomes of a call without regard to its arguments. */
function actionOf({ syscalls, defaultAction }: SeccompConfig, name: string): string {
  const rules = syscalls.filter(({ names, args }) => names.includes(name) && !args);
  assert.ok(rules.length <= 1, `${name} has ${rules.length} rules`);
  return rules[0]?.action ?? defaultAction;
}

describe('a seccomp profile', () => {
  const parse = (value: object) => parseProfile(JSON.stringify(value), 'FILE');

  it('has the rules that count for the machine, its kernel and the capabilities', () => {
    const allow = (name: string, more: object) => ({ names: [name], action: 'SCMP_ACT_ALLOW', ...more });
    const profile = parse({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      defaultErrno: 'ENOSYS',
      archMap: [
        { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
        { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
      ],
      syscalls: [
        allow('always', { args: [], comment: '', includes: {}, excludes: {} }),
        allow('here', { includes: { arches: ['amd64', 'x32'] } }),
        allow('elsewhere', { includes: { arches: ['arm'] } }),
        allow('not_here', { excludes: { arches: ['amd64'] } }),
        allow('with', { includes: { caps: ['CAP_A'] } }),
        allow('with_both', { includes: { caps: ['CAP_A', 'CAP_B'] } }),
        allow('without', { excludes: { caps: ['CAP_B'] } }),
        allow('not_with', { excludes: { caps: ['CAP_A'] } }),
        allow('old', { includes: { minKernel: '2.6' } }),
        allow('new', { includes: { minKernel: '999.0' } }),
        { name: 'single', action: 'SCMP_ACT_ERRNO', errnoRet: 1, args: null },
      ],
    });
    assert.deepEqual(configOf(profile, ['CAP_A'], X64), {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
      syscalls: [
        ...['always', 'here', 'with', 'without', 'old'].map((name) => ({ names: [name], action: 'SCMP_ACT_ALLOW' })),
        { names: ['single'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      ],
    });
  });

  it('keeps its own architectures, and no errno if it means nothing', () => {
    const profile = parse({ defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86'] });
    assert.deepEqual(configOf(profile, [], X64), {
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86'],
      syscalls: [],
    });
  });

  it('is refused in one line if it is invalid', () => {
    const file = join(tempDir(), 'profile');
    for (const text of ['', '[]', '{"defaultAction":"ALLOW"}', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}']) {
      writeFileSync(file, text);
      assert.throws(
        () => seccompOf(file, [], () => {}),
        (error: Error) => error instanceof ContainerError && !error.message.includes('\n'),
        text,
      );
    }
    assert.equal(
      seccompOf('unconfined', [], () => {}),
      undefined,
    );
  });
});

describe('the default seccomp profile', () => {
  const denied = ['keyctl', 'mount', 'unshare', 'setns', 'bpf', 'userfaultfd', 'kexec_load', 'init_module', 'reboot'];
  const system = parseProfile(
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      syscalls: [{ names: ['read', 'execve', 'clone', 'clone3', ...denied], action: 'SCMP_ACT_ALLOW' }],
    }),
    'FILE',
  );
  for (const [whose, profile] of [
    ['ours', OWN],
    ["the system's", system],
  ] as const) {
    it(`is strict without capabilities: ${whose}`, () => {
      const config = seccompFrom(profile, ['CAP_CHOWN', 'CAP_SYS_CHROOT']);
      for (const name of denied) assert.equal(actionOf(config, name), 'SCMP_ACT_ERRNO', name);
      for (const name of ['read', 'execve']) assert.equal(actionOf(config, name), 'SCMP_ACT_ALLOW', name);
      assert.ok(!config.architectures?.includes('SCMP_ARCH_X32'));
      const clone = config.syscalls.find(({ names }) => names.includes('clone'));
      assert.deepEqual([clone?.action, clone?.args?.[0]?.op], ['SCMP_ACT_ALLOW', 'SCMP_CMP_MASKED_EQ']);
    });
    it(`allows with CAP_SYS_ADMIN what is for that: ${whose}`, () => {
      const config = seccompFrom(profile, ['CAP_SYS_ADMIN']);
      for (const name of ['mount', 'unshare', 'clone', 'setns']) assert.equal(actionOf(config, name), 'SCMP_ACT_ALLOW');
      assert.equal(actionOf(config, 'keyctl'), 'SCMP_ACT_ERRNO');
    });
  }
});
