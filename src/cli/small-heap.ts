import { setFlagsFromString } from 'node:v8';

/**
 * A record waits up to two seconds for its slot, so it outlives V8's young generation and fills the old one.
 * V8 lets the old generation grow to several times the live memory before it collects it. With a collection
 * after growth by half, a worker stays at about 140 MB whatever waits, and no cost in CPU could be measured
 * (docs/decisions/0092).
 *
 * V8 reads this flag again after every collection, so it may be set at run time. An operator's own value on
 * Node's command line is kept (NODE_OPTIONS does not accept this flag). V8 cannot be asked which flags it
 * knows: a version without this flag prints that on standard error and continues.
 */
const GROWTH_PERCENT = 50;

/** A long-lived process calls this at its start. */
export function keepHeapSmall(): void {
  if (!process.execArgv.some((flag) => /^--heap[-_]growing[-_]percent=/.test(flag)))
    setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
