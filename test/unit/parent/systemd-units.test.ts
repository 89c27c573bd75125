import assert from 'node:assert/strict';
import { UsageError } from '../../../parent/errors.js';
import { holdersIn } from '../../../parent/state/lock-holder.js';
import { startedBy } from '../../../parent/systemd/running-stack.js';
import { serviceUnit } from '../../../parent/systemd/units.js';

describe('the unit of the service', () => {
  const lines = (...command: string[]) =>
    serviceUnit({ command, node: '/opt/100% node/node', sockets: [] }).split('\n');
  const execStart = (...command: string[]) => lines(...command).find((line) => line.startsWith('ExecStart='));

  it('has the options as systemd reads them', () => {
    assert.equal(execStart('/opt/100%/$node', '--a=50%', '$HOME'), 'ExecStart=/opt/100%%/$node --a=50%% $$HOME');
    assert.equal(execStart('/a', 'b c', '"', '\\', "'", ';', ''), `ExecStart=/a "b c" "\\"" "\\\\" "'" ";" ""`);
  });

  it('names the node that it was installed with', () => {
    assert(lines('/a').includes('Environment="ROOTLESS_NET_NODE=/opt/100%% node/node"'));
  });

  it('refuses characters that end a line or are not to be seen', () => {
    for (const odd of ['\n', '\r', '\0', '\x1b', '\x85']) {
      assert.throws(
        () => lines('/a', `--x=a${odd}ExecStopPost=b`),
        (error) => error instanceof UsageError && /^invalid option "--x=a ExecStopPost=b": [^\n]*$/.test(error.message),
        JSON.stringify(odd),
      );
    }
  });

  it('lets the main process alone notify, and is not restarted if the stack runs already', () => {
    assert(lines('/a').includes('NotifyAccess=main'));
    assert(lines('/a').includes('RestartPreventExitStatus=75'));
  });
});

describe('the stack that runs already', () => {
  it('is found by its lock', () => {
    const locks = [
      '1: POSIX  ADVISORY  WRITE 11 00:1d:77 0 EOF',
      '2: FLOCK  ADVISORY  READ  12 00:1d:77 0 EOF',
      '3: FLOCK  ADVISORY  WRITE 13 fd:00:177 0 EOF',
      '4: FLOCK  ADVISORY  WRITE 14 fd:00:77 0 EOF',
      '4: -> FLOCK  ADVISORY  WRITE 15 fd:00:77 0 EOF',
      '5: FLOCK  ADVISORY  WRITE 0 00:1d:77 0 EOF',
    ].join('\n');
    assert.deepEqual(holdersIn(locks, 77), [14]);
  });

  it('belongs to the unit that its cgroup names, also from below it', () => {
    const user = '0::/user.slice/user-1000.slice/user@1000.service/app.slice/rootless-net.service';
    const system = 'rootless-net-me.service';
    assert.equal(startedBy(`${user}\n`, system), 'user-service');
    assert.equal(startedBy(`${user}/stack\n`, system), 'user-service');
    assert.equal(startedBy(`12:pids:/\n1:name=systemd:/system.slice/${system}\n0::/\n`, system), 'system-service');
    assert.equal(startedBy('0::/user.slice/user-1000.slice/session-2.scope\n', system), 'itself');
    assert.equal(startedBy('0::/system.slice/rootless-net-other.service\n', system), 'itself');
  });
});
