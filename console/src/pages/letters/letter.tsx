import { useState } from 'preact/hooks';
import { DeleteDialog } from '../../acts/delete.tsx';
import { RedriveDialog } from '../../acts/redrive.tsx';
import type { Letter } from '../../api/types.ts';
import { named, t } from '../../i18n/language.ts';
import { now } from '../../state/clock.ts';
import { go, link } from '../../state/route.ts';
import { mayAct } from '../../state/session.ts';
import { Button } from '../../ui/button.tsx';
import { Happened, type Happening } from '../../ui/happened.tsx';
import { useAsk } from '../../ui/list.tsx';
import { Page } from '../../ui/page.tsx';
import { Answered } from '../../ui/problem.tsx';
import { Badge, Callout } from '../../ui/states.tsx';
import { Copyable, Foreign, since } from '../../ui/words.tsx';
import { answerText } from '../overview/calls.tsx';
import { adviceOf, CodeLink } from './groups.tsx';
import { STATE_TONES } from './list.tsx';

const EVERY_MS = 3_000;

/** Everything about one letter, and what to do next. */
export function LetterPage({ eventId }: { readonly eventId: string }) {
  const [asked, setAsked] = useState<'redrive' | 'delete' | undefined>(undefined);
  const polled = useAsk<Letter>(`dead-letters/${encodeURIComponent(eventId)}`, {}, EVERY_MS);
  const close = (): void => setAsked(undefined);
  const dialog = {
    selection: { eventIds: [eventId] },
    scope: t('letter.scope', { eventId }),
    onClose: close,
  };
  return (
    <Page
      title={t('letter.title')}
      back={<a href={link(['dead-letters'])}>{t('nav.letters')}</a>}
      actions={
        mayAct.value &&
        polled.data !== undefined && (
          <div class="actions">
            {polled.data.state === 'dead' && (
              <Button kind="primary" icon="redrive" onClick={() => setAsked('redrive')}>
                {t('redrive.button')}
              </Button>
            )}
            {polled.data.state !== 'redriving' && (
              <Button icon="remove" onClick={() => setAsked('delete')}>
                {t('delete.button')}
              </Button>
            )}
          </div>
        )
      }
    >
      <Answered polled={polled}>{(letter) => <Whole letter={letter} />}</Answered>
      {asked === 'redrive' && <RedriveDialog {...dialog} />}
      {asked === 'delete' && <DeleteDialog {...dialog} state="all" onDone={() => go(['dead-letters'])} />}
    </Page>
  );
}

function Whole({ letter }: { readonly letter: Letter }) {
  const { state, reason, errorCode, errorInfo, codePage, eventId, userId, command, httpStatus } = letter;
  return (
    <>
      <Callout tone={state === 'dead' ? 'warn' : 'good'}>
        <p>
          <strong>{t('overview.toDo')}</strong> {nextText(letter, now.value)}
        </p>
      </Callout>
      <div class="pair">
        <section class="card">
          <h2>{t('letter.what')}</h2>
          <dl class="facts">
            <dt>{t('filter.state')}</dt>
            <dd>
              <Badge tone={STATE_TONES[state]}>{named('letterState.', state)}</Badge>
            </dd>
            <dt>{t('filter.reason')}</dt>
            <dd>
              {named('reason.', reason)} {errorCode !== 0 && <CodeLink code={errorCode} page={codePage} />}
            </dd>
            <dt>{t('letter.words')}</dt>
            <dd>
              {errorInfo === '' ? (
                <span class="faint">{t('letter.noWords')}</span>
              ) : (
                <Foreign text={errorInfo} />
              )}
            </dd>
            <dt>{t('letter.call')}</dt>
            <dd>
              {command === '' ? t('letter.noCall') : <code>{command}</code>}
              {httpStatus !== 0 && <span class="faint"> HTTP {httpStatus}</span>}
            </dd>
            <dt>{t('filter.user')}</dt>
            <dd>
              {userId === '' ? (
                <span class="faint">{t('letters.noUser')}</span>
              ) : (
                <a href={link(['users', userId])}>
                  <Foreign text={userId} />
                </a>
              )}
            </dd>
            <dt>{t('letter.event')}</dt>
            <dd>
              <Copyable text={eventId} />
            </dd>
          </dl>
          <h3>{t('letter.fields')}</h3>
          <dl class="facts">
            {Object.entries(letter.event).map(([name, value]) => [
              <dt key={`${name} name`}>
                <code>
                  <Foreign text={name} />
                </code>
              </dt>,
              <dd key={name}>
                <Foreign text={value} />
              </dd>,
            ])}
          </dl>
        </section>
        <section class="card">
          <h2>{t('letter.history')}</h2>
          <Happened list={historyOf(letter)} />
        </section>
      </div>
    </>
  );
}

/** What happened to a letter, in no order. */
export function historyOf(letter: Letter): Happening[] {
  const { firstSeenAt, attempts, deadSince, firstDeadAt, redrives, resolvedAt, resolvedBy, eventId } = letter;
  return [
    { at: firstSeenAt, text: t('happened.accepted') },
    ...attempts.map((attempt) => ({
      at: attempt.at,
      text: t('happened.attempt', { command: attempt.command, answer: answerText(attempt) }),
    })),
    ...[...new Set([firstDeadAt, deadSince])].map((at) => ({
      at,
      tone: 'bad' as const,
      text: t('happened.dead', { reason: named('reason.', letter.reason) }),
    })),
    ...redrives.map(({ at, by }) => ({ at, tone: 'warn' as const, text: t('happened.redriven', { by }) })),
    ...(resolvedAt === undefined
      ? []
      : [
          {
            at: resolvedAt,
            tone: 'good' as const,
            text:
              resolvedBy === eventId
                ? t('happened.resolved')
                : t('happened.resolvedBy', { eventId: resolvedBy ?? '' }),
          },
        ]),
  ];
}

function nextText({ state, partial, withheld, notBefore, reason, advice }: Letter, nowMs: number): string {
  if (state === 'resolved') return t('letter.nextResolved');
  if (state === 'redriving') return t('letter.nextRedriving');
  if (partial === true) return t('letter.nextPartial');
  if (withheld !== undefined && withheld.length > 0)
    return t('letter.nextWithheld', { fields: withheld.join(', ') });
  if (notBefore !== null && notBefore > nowMs) return t('letter.nextNotBefore', { when: since(notBefore) });
  return adviceOf(reason, advice);
}
