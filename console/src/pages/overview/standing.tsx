import { PauseControl } from '../../acts/pause.tsx';
import type { Sentence, Values } from '../../api/types.ts';
import { duration, upcoming } from '../../i18n/duration.ts';
import type { MessageKey } from '../../i18n/en.ts';
import { named, t } from '../../i18n/language.ts';
import { now } from '../../state/clock.ts';
import { link } from '../../state/route.ts';
import { Icon } from '../../ui/icon.tsx';
import type { Tone } from '../../ui/states.tsx';
import { Foreign, since } from '../../ui/words.tsx';

const TONES: Readonly<Record<Sentence['level'], Tone>> = { ok: 'good', attention: 'warn', bad: 'bad' };

const HEADS = {
  'redis-refuses': 'sentence.redis-refuses',
  'no-workers': 'sentence.no-workers',
  paused: 'sentence.paused',
  held: 'sentence.held',
  throttled: 'sentence.throttled',
  behind: 'sentence.behind',
  running: 'sentence.running',
  idle: 'sentence.idle',
  'dead-letters': 'sentence.dead-letters',
  suspects: 'sentence.suspects',
  'memory-high': 'sentence.memory-high',
  'memory-full': 'sentence.memory-full',
} as const satisfies Record<string, MessageKey>;

const ADVICE: Readonly<Partial<Record<string, MessageKey>>> = {
  'no-workers': 'advice.no-workers',
  paused: 'advice.paused',
  throttled: 'advice.throttled',
  behind: 'advice.behind',
  'dead-letters': 'advice.dead-letters',
  suspects: 'advice.suspects',
  'memory-high': 'advice.memory-high',
  'memory-full': 'advice.memory-full',
};

/** How things are, in one sentence, and what to do about it. */
export function Standing({
  sentence,
  also,
}: {
  readonly sentence: Sentence;
  readonly also: readonly Sentence[];
}) {
  const tone = TONES[sentence.level];
  return (
    <section class="callout standing" data-tone={tone} aria-label={t('overview.standing')}>
      <Icon
        name={
          tone === 'good' ? 'good' : sentence.code === 'paused' ? 'pause' : tone === 'bad' ? 'bad' : 'warn'
        }
      />
      <div class="callout-body">
        <div class="standing-head">
          <h1 tabIndex={-1}>
            <Foreign text={headOf(sentence)} />
          </h1>
          <PauseControl />
        </div>
        <Details sentence={sentence} />
        <Advice sentence={sentence} />
        {also.length > 0 && (
          <ul class="also">
            {also.map((one) => (
              <li key={one.code}>
                <Foreign text={`${headOf(one)}${t('sentence.stop')}`} /> <Advice sentence={one} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

/** The sentence alone, for the title of the window as well. */
export function headOf({ code, values, text }: Sentence): string {
  if (!Object.hasOwn(HEADS, code)) return text;
  const { kind, oldestAgeMs, errorCode } = values;
  const waiting = Number(values.waiting ?? 0);
  const known = {
    ...withoutNull(values),
    since: since(Number(values.since ?? 0)),
    age: duration(Number(oldestAgeMs ?? 0)),
    cause: named('hold.', String(kind)),
    refusal: named('refusal.', String(kind)),
    code: errorCode ? ` (${errorCode})` : '',
    way: waiting === 0 ? t('sentence.nothingWaits') : t('sentence.onTheWay', { waiting }),
    reason: values.reason ? t('sentence.reason', { reason: values.reason }) : '',
  };
  return t(HEADS[code as keyof typeof HEADS], known);
}

function withoutNull(values: Values): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(values).filter((pair): pair is [string, string | number] => pair[1] !== null),
  );
}

/** What the sentence leaves out. */
function Details({ sentence: { code, values } }: { readonly sentence: Sentence }) {
  const waiting = Number(values.waiting ?? 0);
  const kept = waiting > 0 ? t('overview.kept', { waiting }) : '';
  const lasts = t('overview.lasts', { age: duration(Math.max(0, now.value - Number(values.since ?? 0))) });
  if (code === 'held') {
    const probe = Number(values.nextProbeAt ?? 0);
    const words = String(values.errorInfo ?? '');
    // Of some holds the words are our own conclusion, which the head says; the answer stands behind it.
    const answer = words.replace(/^.*?; the last (one|answer): /, '');
    return (
      <>
        {words !== '' && (
          <p>
            {t(answer === words ? 'overview.apiSays' : 'overview.lastAnswer')}{' '}
            <q>
              <Foreign text={answer} />
            </q>
          </p>
        )}
        <p>
          {lasts} {kept} {t('overview.nextProbe', { when: upcoming(probe, now.value) })}
        </p>
      </>
    );
  }
  if (code === 'paused') {
    const by = String(values.by ?? '');
    return (
      <p>
        {by !== '' && <Foreign text={`${t('overview.pausedBy', { by })} `} />}
        {lasts} {kept}
      </p>
    );
  }
  return null;
}

function Advice({ sentence }: { readonly sentence: Sentence }) {
  const words = adviceOf(sentence);
  if (words === '') return null;
  const leadsTo = sentence.code === 'dead-letters' ? link(['dead-letters']) : undefined;
  return (
    <p class="advice">
      <strong>{t('overview.toDo')}</strong> {leadsTo === undefined ? words : <a href={leadsTo}>{words}</a>}
    </p>
  );
}

/** The server's words where this page has none: it may be older than the server. */
function adviceOf({ code, values, advice }: Sentence): string {
  const kind = String(values.kind);
  const known =
    code === 'held'
      ? named('holdAdvice.', kind)
      : code === 'redis-refuses'
        ? named('refusalAdvice.', kind)
        : undefined;
  if (known !== undefined) return known === kind ? advice : known;
  const key = ADVICE[code];
  return key === undefined ? advice : t(key);
}
