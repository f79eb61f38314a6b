import { createSigner, readUserSig, type Secret } from '../../../src/im/signer.ts';

const START_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

function setUp(secret: () => Secret = () => ({ secretKey: 'key' })) {
  let now = START_MS;
  let elapsed = 1_000;
  let reads = 0;
  const signer = createSigner({
    sdkAppId: 1,
    adminId: 'administrator',
    readSecret: () => {
      reads += 1;
      return secret();
    },
    nowMs: () => now,
    elapsedMs: () => elapsed,
    expireSeconds: 86_400,
  });
  return {
    signer,
    pass: (ms: number) => {
      now += ms;
    },
    /** Time that passes without moving the clock of the machine, and what the clock is then. */
    elapse: (ms: number) => {
      elapsed += ms;
      return elapsed;
    },
    reads: () => reads,
  };
}

it('signs once and keeps it for half its life', () => {
  const { signer, pass, reads } = setUp();
  const first = signer.current();
  expect(readUserSig(first)).toMatchObject({ identifier: 'administrator', issuedAtSeconds: START_MS / 1000 });
  pass(12 * HOUR_MS - 1);
  expect(signer.current()).toBe(first);
  expect(reads()).toBe(1);
  pass(1);
  expect(readUserSig(signer.current())?.issuedAtSeconds).toBe(START_MS / 1000 + 12 * 3600);
});

it('signAnew() signs again with the current secret', () => {
  let secretKey = 'old';
  const { signer, reads } = setUp(() => ({ secretKey }));
  const first = signer.current();
  secretKey = 'new';
  expect(signer.current()).toBe(first);
  signer.signAnew();
  expect(signer.current()).not.toBe(first);
  expect(reads()).toBe(2);
});

it('signs again once when the clock steps back', () => {
  const { signer, pass, reads } = setUp();
  signer.current();
  pass(-HOUR_MS);
  expect(readUserSig(signer.current())?.issuedAtSeconds).toBe(START_MS / 1000 - 3600);
  signer.current();
  expect(reads()).toBe(2);
});

it('passes on a UserSig made elsewhere', () => {
  expect(setUp(() => ({ userSig: 'made-elsewhere' })).signer.current()).toBe('made-elsewhere');
});

it('keeps its signature while the secret is unreadable, except after signAnew()', () => {
  let isReadable = true;
  const { signer, pass } = setUp(() => {
    if (!isReadable) throw new Error('no such file');
    return { secretKey: 'key' };
  });
  const first = signer.current();
  isReadable = false;
  pass(13 * HOUR_MS);
  expect(signer.current()).toBe(first);
  pass(11 * HOUR_MS);
  expect(() => signer.current()).toThrow('no such file');
  isReadable = true;
  signer.current();
  isReadable = false;
  signer.signAnew();
  expect(() => signer.current()).toThrow('no such file');
});

describe('a signature that is refused as expired', () => {
  const DAY_MS = 86_400_000;
  const signedAtMs = (signer: ReturnType<typeof setUp>['signer']): number =>
    1_000 * (readUserSig(signer.current())?.issuedAtSeconds ?? 0);

  it('is made by the other clock, and by that of the machine if the other one is no better', () => {
    const { signer, elapse } = setUp();
    signer.clockIsAhead(-10 * DAY_MS);
    expect(signedAtMs(signer)).toBe(START_MS);
    signer.signAnewInDoubt(elapse(1));
    expect(signedAtMs(signer)).toBe(START_MS + 10 * DAY_MS);
    signer.signAnewInDoubt(elapse(1));
    expect(signedAtMs(signer)).toBe(START_MS);
  });

  it('is one doubt for several calls that were on the wire together', () => {
    const { signer, elapse, reads } = setUp();
    signer.clockIsAhead(-10 * DAY_MS);
    const sent = [elapse(1), elapse(1)];
    elapse(50);
    for (const sentAtMs of sent) signer.signAnewInDoubt(sentAtMs);
    expect(signedAtMs(signer)).toBe(START_MS + 10 * DAY_MS);
    expect(reads()).toBe(1);
    signer.signAnewInDoubt(elapse(1));
    expect(signedAtMs(signer)).toBe(START_MS);
  });

  it('follows a later reading of the other clock', () => {
    const { signer, elapse } = setUp();
    signer.signAnewInDoubt(elapse(1));
    expect(signedAtMs(signer)).toBe(START_MS);
    signer.clockIsAhead(3 * DAY_MS);
    expect(signedAtMs(signer)).toBe(START_MS - 3 * DAY_MS);
  });
});
