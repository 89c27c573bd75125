import { expectSteps, load } from './policy.js';

const OPEN = '93.184.216.34';

describe('a rule about the resolution of a name', () => {
  it('opens no address, and hides no port', async () => {
    await expectSteps(
      load('allow dns:db.example', 'allow dns:*.wild.example', 'allow 10.0.0.0/8:5432', `allow udp:${OPEN}`),
      ['query db.example 1', 'allow 0'],
      ['query sub.wild.example 28', 'allow 1'],
      ['query other.example 1', 'deny -1'],
      [`learn db.example 60 0 ${OPEN} 10.0.0.1`],
      [`decide tcp ${OPEN} 443 0`, 'deny -1'],
      ['decide tcp 10.0.0.1 5432 0', 'allow 2'],
      [`decide udp ${OPEN} 443 0`, 'allow 3'],
    );
  });

  it('denies the name', async () => {
    await expectSteps(
      load('deny dns:*.ads.example', 'allow *'),
      ['query x.ads.example 1', 'deny 0'],
      ['query example 1', 'allow 1'],
      [`learn x.ads.example 60 0 ${OPEN}`],
      [`decide tcp ${OPEN} 5432 0`, 'allow 1'],
    );
  });
});
