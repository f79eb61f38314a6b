import type { Verdict } from '../im/verdicts.ts';
import type { BodyLimit } from './body-limit.ts';
import type { BreakerVerdict } from './breaker.ts';
import type { Chance } from './policy/chance.ts';
import type { Decision } from './policy/decision.ts';
import type { ApiRequest, Commands, Whole } from './policy/pending-user.ts';
import { judgedIn, type RefusalRate } from './refusal-rate.ts';

/** What all calls of this process and of the fleet learn from. */
interface Learned {
  readonly culprits: RefusalRate;
  readonly chance: Chance;
  readonly bodyLimit: BodyLimit;
  readonly commands: Commands;
}

/** A call that names nobody is split after two failures. If all parts pass, chance caused both. */
const FAILURES_OF_A_WHOLE = 2;

/** Notes what an answer says beyond its record: the fleet's refusal rate, chance, and how large a body may be. */
export function learnFromAnswer(
  { culprits, chance, bodyLimit, commands }: Learned,
  answer: {
    readonly request: ApiRequest;
    readonly verdict: Verdict;
    readonly breaker: BreakerVerdict;
    readonly decision: Decision;
  },
): void {
  const { request, verdict, breaker, decision } = answer;
  const judged = judgedIn(request, verdict, decision, commands);
  if (judged.innocent + judged.culprits > 0) culprits.saw(judged.innocent, judged.culprits);
  if (breaker.kind !== 'passed') return;
  chance.passed(failuresByChance(request));
  const { whole } = request;
  if (whole === undefined) return;
  whole.partsLeft -= 1;
  if (whole.partsLeft === 0) learnFromWhole(whole, chance, bodyLimit);
}

/** All parts of a call that failed have passed: its size was the fault, or chance. */
function learnFromWhole({ bytes, wasTooLarge }: Whole, chance: Chance, bodyLimit: BodyLimit): void {
  if (wasTooLarge) bodyLimit.refused(bytes);
  else {
    bodyLimit.suspected(bytes);
    chance.passed(FAILURES_OF_A_WHOLE);
  }
}

/** Failures of exactly these users, while others passed, before they passed as well. A canary fails for itself alone. */
function failuresByChance({ unluckyFailures, users, behind }: ApiRequest): number {
  if (behind !== undefined) return 0;
  return users[0]?.suspicion?.failures ?? unluckyFailures;
}
