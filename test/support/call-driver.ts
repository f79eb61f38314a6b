import { deliver } from '../../src/delivery/deliver.ts';
import type { DeliveryOptions, DeliveryReport } from '../../src/delivery/delivery-options.ts';
import type { HoldState, HoldWord } from '../../src/hold/hold-state.ts';
import type { Answer } from '../../src/im/answers.ts';
import type { DeliveryCommand, ImportCommand } from '../../src/im/bodies.ts';
import type { ImClient } from '../../src/im/client.ts';
import { type CutCall, cutCalls } from '../../src/intake/cut.ts';
import type { CommandLimiter } from '../../src/pace/open-limiter.ts';
import type { SlotClient } from '../../src/pace/slot.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import { openAdmission } from './open-admission.ts';

/** An account as it stands in a call's body, under the names of the current form. */
export interface SentAccount {
  readonly UserID: string;
  readonly Nick?: string;
  readonly FaceUrl?: string;
  /** In the old form only. */
  readonly Type?: number;
}

/** The accounts of a body in the current or the old form. */
export function accountsIn(body: string): readonly SentAccount[] {
  const json = JSON.parse(body) as {
    AccountList?: SentAccount[];
    Accounts?: string[];
    Identifier?: string;
  } & SentAccount;
  if (json.Accounts !== undefined) return json.Accounts.map((UserID) => ({ UserID }));
  const { Identifier, ...account } = json;
  return json.AccountList ?? [Identifier === undefined ? account : { ...account, UserID: Identifier }];
}

/** Cuts and delivers by hand: the project's own code and scripts, with the API in the test's hands. */
export interface CallDriver {
  /** Cuts whatever waits; [] when nothing does. */
  cut(): Promise<readonly CutCall[]>;
  /** One run of a call. Rejects when the test's API throws, as a process that dies at that moment. */
  run(callId: string, retryMaxAgeMs?: number): Promise<void>;
}

const NOBODY_KNOWN: Answer = {
  kind: 'api',
  httpStatus: 200,
  errorCode: 0,
  errorInfo: '',
  failAccounts: [],
  body: { ResultItem: [] },
};

export function createCallDriver(
  redis: RedisClient,
  keys: Keys,
  api: (command: ImportCommand, accounts: readonly SentAccount[]) => Promise<Answer>,
  /** What the fleet's hold says to every answer, or the hold itself; by default there is none. */
  hold: HoldWord | HoldState = 'noted',
  form: 'current' | 'legacy' = 'current',
): CallDriver {
  const prepare: ImClient['prepare'] = (command, body) => ({
    connected: Promise.resolve(true),
    isConnected: () => true,
    abandon: () => undefined,
    send: () => {
      // Settles nothing, so that users go alone as without it.
      if (command === 'account_check') return Promise.resolve(NOBODY_KNOWN);
      return api(command as ImportCommand, accountsIn(body));
    },
  });
  const limiter = (command: DeliveryCommand): CommandLimiter => ({
    command,
    slots: answering<SlotClient>(undefined),
    slotQueue: {
      // A slot at once: pace is not what these tests are about.
      take: async () => ({
        atLocalMs: performance.now() + 1,
        atRedisMs: Date.now(),
        epoch: '0',
        probe: false,
        heldMs: 0,
        number: '0',
        ratePerSecond: 100,
      }),
      close: () => undefined,
      dueMs: null,
    },
  });
  const options: DeliveryOptions = {
    redis,
    keys,
    client: { prepare },
    limiters: {
      multiaccount_import: limiter('multiaccount_import'),
      account_import: limiter('account_import'),
      account_check: limiter('account_check'),
    },
    // No brake, no outage: the test's API is as bad as the test wants it.
    hold: typeof hold === 'string' ? answering<HoldState>(hold) : hold,
    watch: { isCurrent: () => true, heardOf: () => undefined, onChange: () => undefined },
    admission: openAdmission,
    commands: { form, batch: 'multiaccount_import', single: 'account_import' },
    overrides: {},
    batchSize: { saw: () => undefined, tooLarge: () => undefined },
    chance: { passed: () => undefined, splitAfter: () => 2, endAfter: () => 3 },
    rules: { adminId: 'administrator', form },
    onProfileFault: 'import-bare',
    retry: { baseMs: 1, maxMs: 1, maxAgeMs: 86_400_000 },
    random: () => 0,
    allOutcomes: false,
    signAnew: () => undefined,
    readSecretAnew: () => undefined,
    handOver: async () => undefined,
    report: answering<DeliveryReport>(undefined),
  };
  return {
    async cut() {
      const limits = {
        batchCommand: 'multiaccount_import',
        singleCommand: 'account_import',
        alone: form === 'legacy' ? 'profile-or-robot' : 'nobody',
        maxUsers: 100,
        maxWaitMs: 0,
        eagerCalls: 1_000,
        eagerGapMs: 0,
        maxOpenCalls: 1_000,
      } as const;
      const answer = await cutCalls({ redis, keys }, limits);
      return answer.kind === 'cut' ? answer.calls : [];
    },
    async run(callId, maxAgeMs = 86_400_000) {
      await deliver({ ...options, retry: { ...options.retry, maxAgeMs } }, callId, 'live');
    },
  };
}

/** Something of whose methods each gives the same answer. */
function answering<T extends object>(answer: unknown): T {
  return new Proxy({}, { get: () => async () => answer }) as T;
}

/** What the API says, in the shape the client hands over. */
export function apiAnswer(errorCode: number, failAccounts: readonly string[] = []): Answer {
  return {
    kind: 'api',
    httpStatus: 200,
    errorCode,
    errorInfo: errorCode === 0 ? '' : `code ${errorCode}`,
    failAccounts,
    body: {},
  };
}
