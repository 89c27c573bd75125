import { expectSteps } from './policy.js';

const OPEN = '93.184.216.34';
const PRIVATE = '10.1.2.3';
const rules = (...all: string[]) => ({ rules: all, full: false });

describe('what a run without a policy needs', () => {
  it('is a name where one was resolved, and the client shows it where clients do', async () => {
    await expectSteps(
      [`learn www.example 60 0 ${OPEN}`],
      [`learn other.example 60 0 ${OPEN}`],
      [`need tcp ${OPEN} 5432 0`, false],
      [`need tcp ${OPEN} 443 0`, true],
      [`needpeeked ${OPEN} 443 0 tls www.example`],
      [`need tcp ${OPEN} 8080 0`, true],
      [`needpeeked ${OPEN} 8080 0 other`],
      [`need icmp ${OPEN} 0 0`, false],
      // The one that was used last.
      ['needed', rules('tcp other.example 5432', 'tcp www.example 443', 'tcp www.example 8080', 'icmp www.example 0')],
    );
  });

  it('is an address where no name opens it', async () => {
    await expectSteps(
      ['host 192.168.9.9'],
      [`learn www.example 60 0 ${OPEN} ${PRIVATE}`],
      ['need tcp 1.1.1.1 443 0', false],
      [`need tcp ${PRIVATE} 443 0`, false],
      ['need tcp 192.168.9.9 22 0', false],
      [`needpeeked ${OPEN} 443 0 tls elsewhere.example`],
      [`needpeeked ${OPEN} 80 0 other`],
      [`need udp ${OPEN} 853 0`, false],
      ['need udp 2606:2800:21f::1 123 0', false],
      [
        'needed',
        rules(
          'tcp 1.1.1.1 443',
          `tcp ${PRIVATE} 443`,
          `tcp ${OPEN} 80`,
          `tcp ${OPEN} 443`,
          'tcp host 22',
          'udp 2606:2800:21f::1 123',
          `udp ${OPEN} 853`,
        ),
      ],
    );
  });

  it('is TLS beside QUIC, which a policy of names denies', async () => {
    await expectSteps(
      [`learn www.example 60 0 ${OPEN}`],
      [`need udp ${OPEN} 443 0`, false],
      ['needed', rules('tcp www.example 443', `udp ${OPEN} 443`)],
    );
  });

  it('has the names that were asked for, each once', async () => {
    await expectSteps(
      ['needname Www.Example.'],
      ['needname www.example'],
      ['needname -.'],
      ['needed', rules('dns www.example 0')],
    );
  });

  it('is bounded', async () => {
    const attempts = Array.from({ length: 16_400 }, (_, i) => [`need tcp 1.1.${i >> 8}.${i & 255} 25 0`] as const);
    const lines = attempts.slice(0, 16_384).map((_, i) => `tcp 1.1.${i >> 8}.${i & 255} 25`);
    await expectSteps(...attempts, ['needed', { rules: lines.sort(), full: true }]);
  });
});
