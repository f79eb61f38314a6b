import { setFlagsFromString } from 'node:v8';

/**
 * A record waits up to two seconds for its slot and outlives the young generation, so the old one fills with what was
 * worked off long ago; V8 lets it grow to several times of what lives before it clears it up. Told to clear up after
 * growth by half, a worker stays at about 140 MB whatever waits, at no cost in CPU that could be measured
 * (docs/decisions/0092). V8 looks at this number anew after every collection, so it may be set at run time; an
 * operator's own choice in NODE_OPTIONS or on the command line stands.
 */
const GROWTH_PERCENT = 50;

/** To be called by a process that lives long, at its start. */
export function keepHeapSmall(): void {
  const chosen = `${process.env.NODE_OPTIONS ?? ''} ${process.execArgv.join(' ')}`;
  if (!chosen.includes('--heap-growing-percent'))
    setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
