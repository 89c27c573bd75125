import assert from 'node:assert/strict';
import { commandFailure } from '../../../../../child/container/oci/failures/command-failure.js';
import { setupFailure, withoutPrefix } from '../../../../../child/container/oci/failures/setup-failure.js';

const BEGIN = 'runc create failed: unable to start container process: error during container init: ';

describe('what OCI runtimes could not set up', () => {
  // As runc 1.1 and 1.2 and crun 1.8 and 1.14 write it.
  for (const [reported, expected] of [
    [
      'exec failed: unable to start container process: chdir to cwd ("/nodir") set in config.json failed: no such file or directory',
      'cannot change to /nodir in the container (--workdir): no such directory',
    ],
    [
      'chdir `/etc/passwd`: Not a directory',
      'cannot change to /etc/passwd in the container (--workdir): not a directory',
    ],
    [
      `${BEGIN}mkdir /etc/passwd: not a directory`,
      'cannot change to /etc/passwd in the container (--workdir): not a directory',
    ],
    [
      `${BEGIN}write /proc/sys/net/ipv4/ip_forward: invalid argument`,
      '--sysctl net.ipv4.ip_forward: the kernel refuses its value (invalid argument)',
    ],
    [
      'write to /proc/sys/kernel/shmmax: Invalid argument',
      '--sysctl kernel.shmmax: the kernel refuses its value (invalid argument)',
    ],
    [
      'open /proc/sys/net/ipv4/conf/eth9/forwarding: No such file or directory',
      '--sysctl net.ipv4.conf.eth9.forwarding: no such setting exists when the container is created',
    ],
    [
      `${BEGIN}error mounting "tmpfs" to rootfs at "/x": mount tmpfs:/x (via /proc/self/fd/6), flags: 0xe, data: uid=9: invalid argument`,
      'cannot mount tmpfs at /x in the container: invalid argument',
    ],
    [
      `${BEGIN}error mounting "/a" to rootfs at "/dev/pts": mount /a:/dev/pts (via /proc/self/fd/6), flags: 0x5000: not a directory`,
      'cannot mount /a at /dev/pts in the container: not a directory',
    ],
    [
      'mount `tmpfs` to `etc/passwd`: Not a directory',
      'cannot mount tmpfs at /etc/passwd in the container: not a directory',
    ],
  ] as const) {
    it(`${reported.slice(0, 50)}… is translated`, () => {
      assert.equal(setupFailure(withoutPrefix(reported))?.message, expected);
    });
  }

  it('hooks that cannot be executed are not mistaken for the program', () => {
    const reported = 'error running hook #0: error running hook: fork/exec /no/such: no such file or directory';
    assert.equal(commandFailure(reported, 'true'), undefined);
    assert.equal(commandFailure('exec: "true": no such file or directory', 'true')?.code, 'command-not-found');
  });

  it('nothing is made of other lines but that their beginning goes', () => {
    const reported = 'exec: "nosuch": executable file not found in $PATH';
    assert.equal(withoutPrefix(`runc create failed: unable to start container process: ${reported}`), reported);
    assert.equal(setupFailure(reported), undefined);
  });
});
