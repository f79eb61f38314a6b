import type { EventRules } from '../event/event.ts';
import type { ImClient } from '../im/client.ts';
import type { VerdictOverrides } from '../im/verdicts.ts';
import type { HoldWatch } from '../pace/hold/hold-watch.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import type { Admission } from './admission.ts';
import type { BodyLimit } from './body-limit.ts';
import type { BreakerOptions } from './breaker.ts';
import type { DeliveryReport } from './delivery-report.ts';
import type { Chance } from './policy/chance.ts';
import type { DecisionPolicy } from './policy/decision.ts';
import type { Commands } from './policy/pending-user.ts';
import type { RefusalRate } from './refusal-rate.ts';

/** What a process delivers with. */
export interface DeliveryOptions extends BreakerOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly client: ImClient;
  readonly watch: HoldWatch;
  readonly commands: Commands;
  readonly admission: Admission;
  /** What the configuration says of error codes. */
  readonly overrides: VerdictOverrides;
  readonly culprits: RefusalRate;
  readonly chance: Chance;
  readonly bodyLimit: BodyLimit;
  readonly rules: EventRules;
  readonly onProfileFault: DecisionPolicy['onProfileFault'];
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly maxAgeMs: number };
  readonly random: () => number;
  /** Before a probe: a secret that was mended counts. */
  readonly readSecretAnew: () => void;
  /** Write every outcome to the stream of outcomes. */
  readonly allOutcomes: boolean;
  readonly report: DeliveryReport;
}
