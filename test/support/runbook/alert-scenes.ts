import { eventually } from '../eventually.ts';
import { drained, linesOf } from '../stage.ts';
import { says, startWebhook, type Webhook } from '../webhook.ts';
import type { Expected, Scene, Scenery } from './scene.ts';

const RUNNING = /^state +running$/m;
const runs: Expected = { shows: [RUNNING, /^workers +1$/m] };

/** Fails `odd` alone, and lets others pass, until it is a suspect. */
async function suspect(set: Scenery): Promise<void> {
  await set.worker();
  set.stage.simulator.setFaults({ rules: [{ match: { userIds: ['odd'] }, action: { errorCode: 70500 } }] });
  await set.stage.push({ userId: 'odd', nick: 'O' });
  let others = 0;
  await eventually('odd is a suspect', async () => {
    // It fails while others pass: they sign up all the while.
    await set.stage.push({ userId: `other${others++}` });
    return (await set.stage.client.zcard(set.stage.keys.isolated)) > 0;
  });
  set.means.ID = 'odd';
}
async function endSuspicion(set: Scenery): Promise<void> {
  set.stage.simulator.setFaults({});
  await drained(set.stage);
  expect((await set.run('imsync status')).output).not.toMatch(/suspect/);
}
const shownSuspects: Expected = {
  shows: [RUNNING, /^suspects +1 calls fail while others succeed/m, /"odd" failed .* 70500/],
};

let hook: Webhook;

/** Entries below *Alerts* whose Redis is well. */
export const alertScenes: Readonly<Record<string, Scene>> = {
  ImsyncEventsTooLateFast: {
    // One event that takes longer than 5 s.
    cause: async (set) => {
      await set.worker();
      set.stage.simulator.setFaults({ rules: [{ action: { latencyMs: [5_500, 5_600] } }] } as never);
      await set.stage.push({ userId: 'late' });
      await drained(set.stage);
    },
    commands: {
      'imsync status': { shows: [...runs.shows, /^waiting +0$/m, /calls in the last second, 99\.0 allowed/] },
    },
  },
  ImsyncEventsWait: {
    cause: async (set) => {
      await set.worker();
      await set.run('imsync pause');
      for (let i = 0; i < 5; i++) await set.stage.push({ userId: `u${i}` });
    },
    commands: {
      'imsync status': {
        shows: [/^state +paused by an operator/m, /^waiting +5, the oldest for [\d.]+ s$/m],
      },
    },
    async mend(set) {
      await set.run('imsync resume');
      await drained(set.stage);
      expect((await set.run('imsync status')).output).toMatch(/^waiting +0$/m);
    },
  },
  ImsyncEventsUnfinished: {
    cause: suspect,
    commands: {
      'imsync status': shownSuspects,
      'imsync user show ID': { shows: [/^user +"odd"$/m, /70500/] },
    },
    mend: endSuspicion,
  },
  ImsyncNoWorker: {
    cause: async (set) => {
      await set.stage.push({ userId: 'waits' });
    },
    commands: {
      'imsync status': {
        shows: [/^waiting +1, the oldest for/m, /^workers +0 \(start one: imsync worker\)$/m],
      },
    },
    async mend(set) {
      const setting = set.stage.start(['worker'], { IMSYNC_REGION: 'atlantis' });
      expect(await setting.ended).toBe(2);
      const redis = set.stage.start(['worker'], { IMSYNC_REDIS_URL: 'redis://127.0.0.1:1' });
      expect(await redis.ended).toBe(3);
      await set.worker();
      await drained(set.stage);
      expect((await set.run('imsync status')).output).toMatch(/^workers +1$/m);
    },
  },
  ImsyncWorkersDie: {
    cause: async (set) => {
      const dying = await set.worker();
      dying.signal('SIGKILL');
      await dying.ended;
      await set.worker();
    },
    // The dead one is counted for as long as its last sign of life counts.
    commands: { 'imsync status': { shows: [RUNNING, /^workers +[12]$/m] } },
  },
  ImsyncPausedLong: {
    cause: async (set) => {
      await set.worker();
      await set.run('imsync pause --reason "provider maintenance"');
      await set.stage.push({ userId: 'waits' });
    },
    commands: {
      'imsync status': {
        shows: [/^state +paused by an operator, \S+, since \d{4}-\S+: "provider maintenance"$/m],
      },
      'imsync resume': { shows: [/^resumed$/m], after: (set) => drained(set.stage) },
    },
    async mend(set) {
      expect((await set.run('imsync status')).output).toMatch(RUNNING);
    },
  },
  ImsyncDeadLetters: {
    cause: async (set) => {
      const { simulator, push } = set.stage;
      await set.worker({ IMSYNC_RETRY_MAX_AGE_MS: '1500' });
      simulator.setFaults({
        rules: [
          { match: { userIds: ['late'] }, action: { errorCode: 70500 } },
          { match: { userIds: ['bad'] }, action: { accountCode: 70402, errorInfo: 'the words of the API' } },
        ],
      });
      set.means.ID = await push({ userId: 'bad', nick: 'B' });
      await push({ userId: 'late', nick: 'L' });
      await eventually('both are dead', async () => {
        await push({ userId: `other${Date.now()}` });
        return (await set.stage.client.zcard(set.stage.keys.deadByTime)) === 2;
      });
    },
    commands: {
      'imsync dlq': {
        shows: [/^2 dead letters/m, /^1 +rejected 70402: .*redrive/m, /^1 +expired/m, /^next:$/m],
      },
      'imsync dlq show ID': {
        shows: [/^error info +the words of the API$/m, /^next +the API refuses the account/m],
      },
      'imsync dlq redrive --reason expired --dry-run': { shows: [/^would redrive 1 letter of 1 user$/m] },
    },
    async mend(set) {
      set.stage.simulator.setFaults({});
      expect(await set.run('imsync dlq redrive --reason expired')).toMatchObject({ code: 0 });
      await drained(set.stage);
      expect(set.stage.simulator.accounts.has('late')).toBe(true);
      await set.stage.push({ userId: 'bad', nick: 'corrected' });
      await drained(set.stage);
      expect((await set.run('imsync dlq')).output).toMatch(/^no dead letters/m);
    },
  },
  ImsyncCallsFail: { cause: suspect, commands: { 'imsync status': shownSuspects }, mend: endSuspicion },
  ImsyncUnaccountedEvents: {
    // Somebody wrote to Redis by hand.
    cause: async (set) => {
      await set.worker();
      await set.stage.client.hincrby(set.stage.keys.books, 'events', 1);
      await set.logged('the books count other events in calls than the open calls hold');
    },
    commands: { 'imsync status --json': { shows: [/^\{"sdkAppId":1400000000,/, /"totals":\{"accepted":/] } },
    async mend(set) {
      await set.stage.push({ userId: 'goes on' });
      await eventually(
        'work goes on',
        () => set.stage.simulator.accounts.size > 0 || linesOf(set.current(), 'dead').length > 0,
      );
    },
  },
  ImsyncThrottled: {
    cause: async (set) => {
      await set.worker();
      set.stage.simulator.setFaults({ rules: [{ action: { errorCode: 60007 } }] });
      await set.stage.push({ userId: 'slow' });
      await set.logged('calls are slowed down');
      set.stage.simulator.setFaults({});
    },
    commands: { 'imsync status': { shows: [/^multiaccount_import: .*, \d+\.\d allowed$/m] } },
    async mend(set) {
      await drained(set.stage);
      let n = 0;
      await eventually(
        'the full rate is back',
        async () => {
          await set.stage.push({ userId: `u${n++}` });
          return /^multiaccount_import: .*, 99\.0 allowed$/m.test((await set.run('imsync status')).output);
        },
        60_000,
      );
    },
  },
  ImsyncNoticesFail: {
    cause: async (set) => {
      hook = await startWebhook((response) => response.writeHead(500).end());
      set.env.IMSYNC_NOTIFY_URLS = `json+${hook.url}/x#secret=${'s'.repeat(16)}`;
      await set.worker();
      await set.run('imsync pause');
      await set.logged('notices were not taken; they are tried again for an hour');
    },
    commands: {
      'imsync doctor --send-test-notice': {
        code: 1,
        shows: [/^✗ json-1 at 127\.0\.0\.1 has not taken the test notice: HTTP 500$/m],
      },
      'imsync status': { shows: [/^state +paused by an operator/m] },
      'imsync dlq': { shows: [/^no dead letters/m] },
      'imsync activity': { shows: [/ pause /] },
    },
    async mend(set) {
      hook.answer = says('');
      await set.logged('notices sent, the receiver takes them again');
      await hook.close();
    },
  },
  ImsyncSlotsGivenUp: {
    cause: async (set) => {
      await set.worker();
    },
    commands: { 'imsync doctor': { shows: [/^✓ Redis answers at \S+ within [\d.]+ ms$/m] } },
  },
};
