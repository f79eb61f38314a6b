import { createHoldState } from '../../src/hold/hold-state.ts';
import { readLetters } from '../../src/ledger/letters/letter-store.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from './eventually.ts';
import { apiError, type GatewayAnswer, type GatewayCall, page, startGateway } from './gateway.ts';
import { imsync } from './process.ts';
import type { TestRedis } from './redis-server.ts';
import { simulatorForTest, TEST_APP } from './simulator.ts';

/**
 * Calls fail in a way that follows one user, several, a size, a time, or everybody, and a real worker process at default
 * settings has to tell which. One play is one kind of answer in one scope.
 */
export interface Play {
  readonly kind: Kind;
  readonly scope: Scope;
  /** Users who sign up meanwhile, one every half second. By default nobody: then there is nobody to compare with. */
  readonly signups?: boolean;
}

export const KINDS = {
  '403 page': page(403),
  '404 page': page(404),
  '400 page': page(400),
  '413 page': page(413),
  '429 page': page(429),
  '502 page': page(502),
  '200 HTML': { kind: 'answer', status: 200, body: '<html>hello</html>' },
  reset: { kind: 'reset' },
  silence: { kind: 'silence' },
  '70500 retry': apiError(70500),
  '60008 retry': apiError(60008),
  '60007 throttle': apiError(60007),
  '79999 unlisted': apiError(79999),
  '70003 app': apiError(70003),
  '60021 app': apiError(60021),
  '70402 body': apiError(70402),
  '40005 profile': apiError(40005),
} as const satisfies Readonly<Record<string, GatewayAnswer>>;
export type Kind = keyof typeof KINDS;

export const SCOPES = [
  'one user',
  'several users',
  'one account',
  'by size',
  'everybody',
  'by time',
] as const;
export type Scope = (typeof SCOPES)[number];

export interface PlayResult {
  /** Users whose fault it is not, and how many of them are imported. */
  readonly innocents: number;
  readonly innocentsImported: number;
  /** Until the last of them was imported: since they were pushed, or since the fault was over where everybody had it. */
  readonly innocentsMs: number;
  /** Import calls, from the push until then; single ones of them. */
  readonly calls: number;
  readonly singleCalls: number;
  /** The refused import calls that one and the same innocent user was in, at most. */
  readonly mostRefusals: number;
  /** Of the innocent: none is right. */
  readonly innocentLetters: readonly string[];
  /** How the culprits stand at the end: `reason code httpStatus`, 'open', with or without account. */
  readonly culprits: readonly string[];
  /** Longest time that the fleet was held, ms. */
  readonly heldMs: number;
  readonly log: readonly string[];
}

const USERS = 150;
/** A body of a hundred users with these nicks takes 10 KB. */
const NICK = 'n'.repeat(60);
const SIZE_LIMIT = 4_096;
const FAULT_MS = 20_000;
const TIME_MS = 8_000;

const culpritsOf: Readonly<Record<Scope, readonly number[]>> = {
  'one user': [42],
  'several users': [3, 42, 43, 77, 120],
  'one account': [42],
  'by size': [],
  everybody: [],
  'by time': [],
};

/** Where nothing passes for a minute after a bad signature, a whole minute is not enough. */
const DEADLINE_MS = 150_000;
const CULPRIT_MS = 120_000;

export async function playFault(server: TestRedis, sdkAppId: number, play: Play): Promise<PlayResult> {
  const { kind, scope, signups = false } = play;
  const simulator = await simulatorForTest({ sdkAppId, callLogSize: 10 });
  const gateway = await startGateway(simulator.url);
  const keys = keysOf(sdkAppId);
  const redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  const worker = imsync(['worker'], {
    IMSYNC_REDIS_URL: server.url,
    IMSYNC_SDK_APP_ID: String(sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_BASE_URL: gateway.url,
    IMSYNC_LOG_LEVEL: 'debug',
  });
  const culprits = culpritsOf[scope].map((n) => `u${n}`);
  const innocents = Array.from({ length: USERS }, (_, n) => `u${n}`).filter((id) => !culprits.includes(id));
  const push = (userId: string, nick: string): Promise<unknown> =>
    redis.xadd(keys.stream, '*', 'userId', userId, 'nick', nick);
  let fresh = 0;
  const signUp = setInterval(() => {
    if (!signups) return;
    const userId = `fresh${fresh++}`;
    innocents.push(userId);
    void push(userId, NICK);
  }, 500);
  let heldSinceMs = 0;
  let heldMs = 0;
  const hold = createHoldState(redis, keys);
  const watch = setInterval(() => {
    void hold.read().then(
      ({ hold: held }) => {
        if (held === null) heldSinceMs = 0;
        else heldSinceMs ||= performance.now();
        if (heldSinceMs > 0) heldMs = Math.max(heldMs, performance.now() - heldSinceMs);
      },
      () => undefined,
    );
  }, 50);
  try {
    await worker.line('worker started', 60_000);
    const startedMs = performance.now();
    const answer = KINDS[kind];
    gateway.setRule((call) => (isHit(scope, call, performance.now() - startedMs) ? answer : undefined));
    await Promise.all(
      Array.from({ length: USERS }, (_, n) =>
        push(`u${n}`, culprits.includes(`u${n}`) && scope !== 'one account' ? '<script>' : NICK),
      ),
    );
    if (scope === 'everybody') {
      await eventually('the fault has lasted', () => performance.now() - startedMs > FAULT_MS, 60_000);
      const { imported, deadLettered } = await readTotals(redis, keys);
      if (imported > 0 || deadLettered > 0)
        throw new Error(`${imported} imported and ${deadLettered} dead while everybody failed`);
      gateway.setRule(undefined);
    }
    const faultEndMs =
      scope === 'everybody' ? performance.now() : startedMs + (scope === 'by time' ? TIME_MS : 0);
    const missing = (): string[] => innocents.filter((id) => !simulator.accounts.has(id));
    await eventually(
      'the innocent are imported',
      () => missing().filter((id) => !id.startsWith('fresh')).length === 0,
      DEADLINE_MS,
    ).catch(() => undefined);
    const endMs = performance.now();
    clearInterval(signUp);
    const calls = gateway.calls().filter(({ command }) => command.endsWith('import'));
    // What becomes of the culprits: their own letter, or a call of their own for as long as it takes.
    if (culprits.length > 0)
      await eventually(
        'the culprits have ended, or go alone and have an account',
        async () => {
          const states = await Promise.all(culprits.map((id) => stateOf(id)));
          return states.every(
            (state) => !state.startsWith('open') || (isTransient(kind) && state.endsWith('with account')),
          );
        },
        scope === 'one account' && isTransient(kind) ? 1 : CULPRIT_MS,
      ).catch(() => undefined);
    await eventually('who signed up last is imported', () => missing().length === 0, 30_000).catch(
      () => undefined,
    );
    return {
      innocents: innocents.length,
      innocentsImported: innocents.length - missing().length,
      innocentsMs: Math.max(0, endMs - faultEndMs),
      calls: calls.length,
      singleCalls: calls.filter(({ command }) => command === 'account_import').length,
      mostRefusals: Math.max(
        ...innocents.map((id) => calls.filter((call) => call.isRefused && call.userIds.includes(id)).length),
      ),
      innocentLetters: (await lettersOf()).filter((line) => !culprits.includes(line.split(' ')[0] ?? '')),
      culprits: await Promise.all(culprits.map(stateOf)),
      heldMs,
      log: worker.lines,
    };
  } finally {
    clearInterval(signUp);
    clearInterval(watch);
    worker.signal('SIGKILL');
    await worker.ended;
    await closeRedis(redis);
    await gateway.close();
    await simulator.close();
  }

  async function lettersOf(): Promise<string[]> {
    const ids = await redis.zrange(keys.deadByTime, '0', '-1');
    const letters = await readLetters({ redis, keys }, ids);
    return letters.map(
      ({ userId, reason, errorCode, httpStatus }) => `${userId} ${reason} ${errorCode} ${httpStatus}`,
    );
  }

  async function stateOf(userId: string): Promise<string> {
    const letter = (await lettersOf()).find((line) => line.startsWith(`${userId} `));
    const account = simulator.accounts.has(userId) ? 'with account' : 'without account';
    if (letter !== undefined) return `${letter.slice(userId.length + 1)} ${account}`;
    const callId = await redis.hget(keys.owners, userId);
    if (callId === null) return `ended ${account}`;
    const users = await redis.hget(keys.callPrefix + callId, 'users');
    return `open with ${Number(users) - 1} others ${account}`;
  }
}

/** Kinds whose fault may pass by itself: their culprits are tried for as long as an event may be. */
export function isTransient(kind: Kind): boolean {
  return [
    '429 page',
    '502 page',
    '200 HTML',
    'reset',
    'silence',
    '70500 retry',
    '60008 retry',
    '60007 throttle',
  ].includes(kind);
}

function isHit(
  scope: Scope,
  { command, body, userIds }: Omit<GatewayCall, 'isRefused'>,
  sinceMs: number,
): boolean {
  // A check is no import: it passes, as it did where this was met.
  if (command === 'account_check') return false;
  switch (scope) {
    case 'one user':
    case 'several users':
      return body.includes('<script>');
    case 'one account':
      return userIds.includes('u42');
    case 'by size':
      return Buffer.byteLength(body) > SIZE_LIMIT;
    case 'everybody':
      return true;
    case 'by time':
      return sinceMs < TIME_MS;
  }
}
