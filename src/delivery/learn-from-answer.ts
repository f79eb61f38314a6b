import type { Verdict } from '../im/verdicts.ts';
import type { BatchSize } from '../intake/batch-size.ts';
import type { BreakerVerdict } from './breaker.ts';
import type { Chance } from './policy/chance.ts';
import type { Decision } from './policy/decision.ts';
import type { ApiRequest, Commands } from './policy/pending-user.ts';

/** What all later calls of this process and of the fleet learn from. */
export interface Learned {
  readonly batchSize: Pick<BatchSize, keyof BatchSize>;
  readonly chance: Pick<Chance, keyof Chance>;
  readonly commands: Commands;
}

/** A call that names nobody is split after two failures. If all parts pass, chance caused both. */
const FAILURES_OF_A_WHOLE = 2;

/** Notes what an answer says beyond its record: refusal rate, chance, and how large a body may be. */
export function learnFromAnswer(
  { batchSize, chance, commands }: Learned,
  answer: {
    readonly request: ApiRequest;
    readonly verdict: Verdict;
    readonly breaker: BreakerVerdict;
    readonly decision: Decision;
  },
): void {
  const { request, verdict, breaker, decision } = answer;
  const { innocent, culprits } = judgedIn(request, verdict, decision, commands);
  if (innocent + culprits > 0) batchSize.saw(innocent, culprits);
  if (breaker.kind !== 'passed') return;
  chance.passed(failuresByChance(request));
  const { whole } = request;
  if (whole === undefined) return;
  whole.partsLeft -= 1;
  if (whole.partsLeft > 0) return;
  // All parts of a call that failed have passed: its size was the fault, or chance.
  batchSize.tooLarge(whole.bytes, whole.wasTooLarge);
  if (!whole.wasTooLarge) chance.passed(FAILURES_OF_A_WHOLE);
}

/** Failures of just these users, while others passed, until they passed too. A canary's count for nobody. */
function failuresByChance({ unluckyFailures, users, behind }: ApiRequest): number {
  if (behind !== undefined) return 0;
  // A suspect who passes was taken for one by chance, or was mended. How long that took says nothing.
  return users[0]?.suspicion ? 1 : unluckyFailures;
}

/**
 * How many users an answer shows to be innocent or guilty. Only batch calls and their parts count. Users who
 * go alone from the start (in the old form a robot, in hosted mode everybody) say nothing about batches.
 */
function judgedIn(
  request: ApiRequest,
  verdict: Verdict,
  decision: Decision,
  { batch, single }: Commands,
): { readonly innocent: number; readonly culprits: number } {
  const counts = batch !== single && (request.command === batch || !request.first);
  if (!counts) return { innocent: 0, culprits: 0 };
  if (verdict.class === 'done') return { innocent: decision.imported.length, culprits: 0 };
  const isRefused = verdict.class === 'account' || verdict.class === 'body' || verdict.class === 'unknown';
  const isOne = request.users.length === 1 && decision.later.length === 0;
  return { innocent: 0, culprits: isRefused && isOne ? 1 : 0 };
}
