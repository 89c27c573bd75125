import assert from 'node:assert/strict';
import { NamespaceError } from '../../../../parent/errors.js';
import { explainUnshare } from '../../../../parent/namespaces/diagnose.js';

async function explain(code: string, sysctls: Record<string, string>, namespace = 'user'): Promise<string> {
  const sysctl = async (name: string) => sysctls[name] ?? '';
  const error = await explainUnshare(
    { code, what: 'unshare', object: namespace },
    sysctl,
    '/opt/rootless-net/launcher',
  );
  assert(error instanceof NamespaceError);
  assert.doesNotMatch(error.message, /\n/, 'one line');
  assert.match(error.message, new RegExp(`unshare ${namespace}: ${code}`));
  return error.message;
}

describe('why namespaces cannot be created', () => {
  it('names the sysctl of Debian', async () => {
    const text = await explain('EPERM', { 'kernel/unprivileged_userns_clone': '0' });
    assert.match(text, /sudo sysctl -w kernel\.unprivileged_userns_clone=1/);
  });

  it('names the limit', async () => {
    assert.match(await explain('ENOSPC', {}), /sudo sysctl -w user\.max_user_namespaces=/);
    assert.match(await explain('ENOSPC', { 'user/max_user_namespaces': '0' }), /user\.max_user_namespaces=/);
    assert.match(await explain('ENOSPC', {}, 'net'), /sudo sysctl -w user\.max_net_namespaces=/);
  });

  it('prints a profile for the launcher where AppArmor prevents it, for EPERM as for EACCES', async () => {
    for (const code of ['EPERM', 'EACCES']) {
      const text = await explain(code, { 'kernel/apparmor_restrict_unprivileged_userns': '1' });
      assert.match(text, /profile opt\.rootless-net\.launcher \/opt\/rootless-net\/launcher flags=\(unconfined\)/);
      assert.match(text, /sudo tee \/etc\/apparmor\.d\/opt\.rootless-net\.launcher/);
    }
  });

  it('suggests the settings of a container if no other reason is known', async () => {
    assert.match(await explain('EPERM', { 'kernel/unprivileged_userns_clone': '1' }), /container/);
  });
});
