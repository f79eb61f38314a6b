import { setFlagsFromString } from 'node:v8';

/**
 * A record waits up to two seconds for its slot and outlives the young generation, so the old one fills with what was
 * worked off long ago; V8 lets it grow to several times of what lives before it clears it up. Told to clear up after
 * growth by half, a worker stays at about 140 MB whatever waits, at no cost in CPU that could be measured
 * (docs/decisions/0092). V8 looks at this number anew after every collection, so it may be set at run time; an
 * operator's own choice on Node's command line stands (NODE_OPTIONS takes no such flag). What V8 knows cannot be asked:
 * one without the flag says so on the standard error, and goes on.
 */
const GROWTH_PERCENT = 50;

/** To be called by a process that lives long, at its start. */
export function keepHeapSmall(): void {
  if (!process.execArgv.some((flag) => /^--heap[-_]growing[-_]percent=/.test(flag)))
    setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
