/**
 * Finds the culprits among users whose call was refused as a whole, in few calls. Pure.
 *
 * Generalised binary splitting (F. K. Hwang, 1972): a refused group is searched for one culprit. When a part of
 * it passes, the culprit is known to be in the other part, which is not called as a whole again; when a part is
 * refused, the other part is no longer suspected of anything and goes back to the untested. Once a culprit is
 * found, all the untested are called together. So the innocent are imported by the way, most of them in large
 * calls. A group's size is chosen so that passing and being refused are about equally likely, which is when an
 * answer says most.
 *
 * States of the search: suspects and untested → suspects cut down to one → that one called alone, which names
 * its reason → untested → … → nobody left. Nobody is taken for a culprit without an answer of their own.
 */
export interface Search<T> {
  /** Among them is a culprit; empty when nothing is known. */
  readonly suspects: readonly T[];
  readonly untested: readonly T[];
  /** Culprits found, and users who passed, in this search. */
  readonly found: number;
  readonly cleared: number;
}

/** The next call of a search. */
export interface Probe<T> {
  readonly test: readonly T[];
  /** The suspects besides `test`: if that passes, a culprit is among them. */
  readonly others: readonly T[];
  readonly untested: readonly T[];
}

/**
 * So few suspects are called one by one: a single call costs nothing of the batch call's quota, and account_import
 * has one of its own (docs/decisions, splitting).
 */
const ONE_BY_ONE = 8;
/** Users that the fleet's estimate stands for, beside what a search has seen itself. */
const PRIOR_USERS = 50;
/** A little more than the best size is taken whole rather than leaving a small rest. */
const WHOLE = 1.5;

/** The next call; undefined when nobody is left. `share`: of culprits among all users, as the fleet sees it. */
export function nextProbe<T>(search: Search<T>, share: number): Probe<T> | undefined {
  const { suspects, untested } = search;
  const here = shareHere(search, share);
  if (suspects.length > 0) {
    const size = suspects.length === 1 ? 1 : halfOf(suspects.length, here);
    return { test: suspects.slice(0, size), others: suspects.slice(size), untested };
  }
  if (untested.length === 0) return undefined;
  const best = Math.max(1, Math.round(Math.LN2 / here));
  const size = WHOLE * best >= untested.length ? untested.length : best;
  return { test: untested.slice(0, size), others: [], untested: untested.slice(size) };
}

/** The search after `test` was refused as a whole; a test of one is the culprit and leaves the search. */
export function afterRefusal<T>(search: Search<T>, { test, others, untested }: Probe<T>): Search<T> {
  const left = [...others, ...untested];
  return test.length === 1
    ? { suspects: [], untested: left, found: search.found + 1, cleared: search.cleared }
    : { ...search, suspects: test, untested: left };
}

/** The search after `test` passed. */
export function afterPass<T>(search: Search<T>, { test, others, untested }: Probe<T>): Search<T> {
  return { ...search, suspects: others, untested, cleared: search.cleared + test.length };
}

/** A search for the culprits of a call that was refused as a whole. */
export function searchOf<T>(refused: readonly T[]): Search<T> {
  return { suspects: refused, untested: [], found: 0, cleared: 0 };
}

/** That the first culprit was there is why the search began: it says nothing about how many more there are. */
function shareHere({ found, cleared }: Search<unknown>, share: number): number {
  const seen = PRIOR_USERS * share + Math.max(0, found - 1);
  return Math.min(0.5, Math.max(1e-4, seen / (PRIOR_USERS + found + cleared)));
}

/** How many of `suspects`, at least one of them a culprit, pass with a probability of about a half. */
function halfOf(suspects: number, share: number): number {
  if (suspects <= ONE_BY_ONE) return 1;
  const clean = 1 - share;
  const refused = 1 - clean ** suspects;
  const size = Math.round(Math.log(1 - refused / 2) / Math.log(clean));
  return Math.max(1, Math.min(size, Math.ceil(suspects / 2)));
}
