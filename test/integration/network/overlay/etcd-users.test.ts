import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EtcdClient, type EtcdOptions } from '../../../../parent/overlay/etcd/client.js';
import type { EtcdError } from '../../../../parent/overlay/etcd/errors.js';
import { tempDir, waitFor } from '../../../support/index.js';
import { type Etcds, startEtcds } from '../../../support/overlay/etcd.js';
import { makeRegistry, startMember } from '../../../support/overlay/members.js';

const PREFIX = '/rootless-net/back';
/** In seconds; the least that etcd takes. */
const TOKEN_TTL = 1;

describe('etcd with users and passwords', () => {
  let etcds: Etcds;
  let options: EtcdOptions;
  let password: string;

  before(async () => {
    etcds = await startEtcds(1, { first: 21, args: ['--auth-token-ttl', String(TOKEN_TTL), '--bcrypt-cost', '4'] });
    const { client } = etcds;
    await makeRegistry(client, PREFIX);
    await makeRegistry(client, '/other');
    const encode = (text: string) => Buffer.from(text).toString('base64');
    // As docs/overlay.md has it for etcdctl.
    for (const [path, body] of [
      ['user/add', { name: 'root', password: 'of-root' }],
      ['role/add', { name: 'root' }],
      ['user/grant', { user: 'root', role: 'root' }],
      ['user/add', { name: 'back', password: 'first' }],
      ['role/add', { name: 'back' }],
      [
        'role/grant',
        {
          name: 'back',
          perm: { permType: 'READWRITE', key: encode(`${PREFIX}/`), range_end: encode(`${PREFIX}0`) },
        },
      ],
      ['user/grant', { user: 'back', role: 'back' }],
      ['enable', {}],
    ] as const) {
      await client.call(`/v3/auth/${path}`, body);
    }
    password = join(tempDir(), 'password');
    writeFileSync(password, 'first\n');
    options = { endpoints: etcds.options.endpoints, user: 'back', passwordFile: password };
  });
  after(async () => {
    await etcds?.[Symbol.asyncDispose]();
  });

  const refusal = async (given: Partial<EtcdOptions>, key = `${PREFIX}/config`) => {
    const client = new EtcdClient({ ...options, ...given });
    const error = await client.get(key).then(
      () => assert.fail('it was not refused'),
      (reason: EtcdError) => reason,
    );
    client.close();
    return [error.name, error.message, error.hint] as const;
  };

  it('is used by one who may, and others are refused with what to do', async () => {
    const wrong = join(tempDir(), 'wrong');
    writeFileSync(wrong, 'wrong');
    assert.deepEqual(await refusal({ user: undefined }), [
      ...['EtcdError', 'etcd: etcdserver: user name is empty'],
      'etcd may want --etcd-user and --etcd-password-file',
    ]);
    const [, message, hint] = await refusal({ passwordFile: wrong });
    assert.match(message, /authentication failed, invalid user ID or password/);
    assert.equal(hint, 'see user back and its password');
    assert.match((await refusal({}, '/other/config')).join(), /permission denied.*role grant-permission/);
    assert.match((await refusal({ passwordFile: '/nonexistent' })).join(), /\/nonexistent/);
  });

  it('has members that go on when their tokens expire, and when the password is another', async () => {
    await using one = await startMember({ etcd: options, prefix: PREFIX, name: 'one' });
    await using two = await startMember({ etcd: options, prefix: PREFIX, name: 'two' });
    const seesName = (name: string) =>
      waitFor(() => one.membership.names.some(({ names }) => names.some((known) => known.name === name)), {
        what: `the name ${name}`,
      });
    const ip = two.membership.subnets?.[0]?.replace('0/24', '9') ?? '';
    const announce = (name: string) => two.membership.setNames([{ name, addresses: [ip] }]);
    announce('web');
    await seesName('web');
    // Once for each of them: they have not asked for anything meanwhile.
    const expired = () => etcds.log(0).split('deleted a simple token').length - 1;
    const before = expired();
    await waitFor(() => expired() >= before + 2, { what: 'the tokens to expire' });
    announce('db');
    await seesName('db');
    // All tokens of a user end with the password, watches do not.
    const admin = new EtcdClient({ endpoints: options.endpoints, user: 'root', passwordFile: passwordOf('of-root') });
    await admin.call('/v3/auth/user/changepw', { name: 'back', password: 'second' });
    writeFileSync(password, 'second');
    announce('cache');
    await seesName('cache');
    assert.deepEqual([one.warnings, two.warnings], [[], []]);
    admin.close();
  });

  function passwordOf(text: string): string {
    const path = join(tempDir(), 'password');
    writeFileSync(path, text);
    return path;
  }
});
