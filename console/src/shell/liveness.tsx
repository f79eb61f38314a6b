import { UNREACHABLE } from '../api/client.ts';
import { duration } from '../i18n/duration.ts';
import { t } from '../i18n/language.ts';
import { now } from '../state/clock.ts';
import { status, trouble } from '../state/fleet.ts';
import { Callout } from '../ui/states.tsx';
import { Foreign, since } from '../ui/words.tsx';

/** An answer that is older than this is not of now. */
const LATE_MS = 6_000;

/** Whether what is shown is of now. */
export function Liveness() {
  const seenAt = status.value?.nowMs;
  const age = seenAt === undefined ? 0 : now.value - seenAt;
  const isAway = trouble.value !== undefined;
  const isLate = age > LATE_MS;
  const tone = isAway ? 'bad' : seenAt === undefined || isLate ? 'warn' : 'good';
  const words = isAway
    ? t('live.away')
    : seenAt === undefined
      ? t('live.asking')
      : isLate
        ? t('live.late', { age: duration(age) })
        : t('live.now');
  return (
    <p class="liveness small">
      <span class="dot" data-tone={tone} />
      {words}
    </p>
  );
}

/** Said once for the whole page: what does not answer, of when the figures are, and that nothing is lost. */
export function Away() {
  const error = trouble.value;
  if (error === undefined) return null;
  const seenAt = status.value?.nowMs;
  const isRedis = error.code === 'redis-away';
  // The plain words of these two are said above, in the viewer's language.
  const isSaid = error.code === UNREACHABLE || (isRedis && error.message.startsWith('Redis does not answer'));
  return (
    <Callout tone="bad" icon="away" live>
      <p>
        <strong>
          {t(isRedis ? 'away.redis' : error.code === UNREACHABLE ? 'away.server' : 'away.other')}
        </strong>{' '}
        {t(isRedis ? 'away.redisWords' : 'away.serverWords')}
      </p>
      <p class="small">
        {seenAt !== undefined && t('away.asOf', { at: since(seenAt) })}{' '}
        <Foreign text={isSaid ? '' : error.message} />
      </p>
    </Callout>
  );
}
