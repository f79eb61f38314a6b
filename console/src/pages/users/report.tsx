import { useState } from 'preact/hooks';
import { ForgetDialog } from '../../acts/forget-user.tsx';
import { ImportDialog } from '../../acts/import-user.tsx';
import { ask } from '../../api/client.ts';
import type { User, UserCall } from '../../api/types.ts';
import { upcoming } from '../../i18n/duration.ts';
import { named, t } from '../../i18n/language.ts';
import { now } from '../../state/clock.ts';
import { usePoll } from '../../state/poll.ts';
import { link } from '../../state/route.ts';
import { mayAct } from '../../state/session.ts';
import { Button } from '../../ui/button.tsx';
import { Happened, type Happening } from '../../ui/happened.tsx';
import { Answered } from '../../ui/problem.tsx';
import { Badge, Callout, Empty, type Tone } from '../../ui/states.tsx';
import { Foreign, since } from '../../ui/words.tsx';
import { historyOf } from '../letters/letter.tsx';
import { answerText } from '../overview/calls.tsx';

/** Each look may ask the API, so it is not often; at once after an act. */
const EVERY_MS = 15_000;
const SOON_MS = 2_000;
const MOST_LETTERS = 20;

const TONES: Readonly<Record<User['state'], Tone>> = {
  'in-call': 'accent',
  waiting: 'accent',
  'dead-lettered': 'bad',
  imported: 'good',
  missing: 'warn',
  unknown: 'plain',
};

export function UserReport({ userId }: { readonly userId: string }) {
  const [asked, setAsked] = useState<'import' | 'forget' | undefined>(undefined);
  const [isMoving, setMoving] = useState(false);
  const polled = usePoll(
    `user ${userId}`,
    async (signal) => {
      const found = await ask<User>(`users/${encodeURIComponent(userId)}`, {}, signal);
      setMoving(found.state === 'in-call' || found.state === 'waiting');
      return found;
    },
    isMoving ? SOON_MS : EVERY_MS,
  );
  const close = (): void => setAsked(undefined);
  const dialog = { userId, onClose: close, onDone: polled.refresh };
  return (
    <>
      <Answered polled={polled}>
        {(user) => (
          <Report user={user} onImport={() => setAsked('import')} onForget={() => setAsked('forget')} />
        )}
      </Answered>
      {asked === 'import' && <ImportDialog {...dialog} profile={polled.data?.letters[0]?.event ?? {}} />}
      {asked === 'forget' && <ForgetDialog {...dialog} />}
    </>
  );
}

function Report({
  user,
  onImport,
  onForget,
}: {
  readonly user: User;
  readonly onImport: () => void;
  readonly onForget: () => void;
}) {
  const { userId, state, hasAccount, call, parked, waiting, letters, unchecked, stopped } = user;
  return (
    <>
      <Callout tone={state === 'dead-lettered' && hasAccount === true ? 'warn' : TONES[state]} icon="users">
        <div class="card-head">
          <h2>
            <Foreign text={userId} />
          </h2>
          {mayAct.value && (
            <div class="actions">
              <Button icon="play" onClick={onImport}>
                {t('import.button')}
              </Button>
              <Button icon="remove" onClick={onForget}>
                {t('forget.button')}
              </Button>
            </div>
          )}
        </div>
        <p>
          <strong>{named('userState.', state)}</strong> {accountText(user)}
        </p>
        {stopped !== null && <p>{t(stopped === 'held' ? 'users.held' : 'users.paused')}</p>}
        {state !== 'imported' && (
          <p>
            <strong>{t('overview.toDo')}</strong>{' '}
            {named('userNext.', stopped !== null && isOnItsWay(user) ? 'stopped' : state)}
          </p>
        )}
      </Callout>
      <div class="pair">
        <section class="card">
          <h2>{t('users.where')}</h2>
          <dl class="facts">
            {call !== null && <CallFacts call={call} />}
            <dt>{t('users.waiting')}</dt>
            <dd>
              {waiting.length === 0
                ? '–'
                : waiting.map(({ eventId, place }) => (
                    <p key={eventId}>
                      <code>{eventId}</code> {named('place.', place)}
                    </p>
                  ))}
            </dd>
            <dt>{t('users.parked')}</dt>
            <dd>{parked.count === 0 ? '–' : t('users.parkedWords', { n: parked.count })}</dd>
          </dl>
          {letters.length > 0 && <h3>{t('users.letters', { n: letters.length })}</h3>}
          <ul class="lines">
            {letters.slice(0, MOST_LETTERS).map((letter) => (
              <li key={letter.eventId}>
                <a href={link(['dead-letters', letter.eventId])}>
                  <code>{letter.eventId}</code>
                </a>{' '}
                <Badge tone={letter.state === 'dead' ? 'bad' : 'good'}>
                  {named('letterState.', letter.state)}
                </Badge>{' '}
                {named('reason.', letter.reason)} {letter.errorCode !== 0 && <code>{letter.errorCode}</code>}
              </li>
            ))}
          </ul>
          {unchecked.length > 0 && (
            <>
              <h3>{t('users.unchecked')}</h3>
              <ul class="lines">
                {unchecked.map((sentence) => (
                  <li key={sentence} class="small soft">
                    <Foreign text={sentence} />
                  </li>
                ))}
              </ul>
            </>
          )}
        </section>
        <section class="card">
          <h2>{t('users.history')}</h2>
          <History user={user} />
        </section>
      </div>
    </>
  );
}

function isOnItsWay({ state }: User): boolean {
  return state === 'in-call' || state === 'waiting';
}

function accountText({ hasAccount, api }: User): string {
  if (api?.kind === 'refused') return t('users.refused', { code: String(api.errorCode ?? '') });
  if (hasAccount === null) return t('users.accountUnknown');
  if (api !== null) return t(hasAccount ? 'users.accountSaid' : 'users.noAccountSaid');
  return t(hasAccount ? 'users.account' : 'users.noAccount');
}

function CallFacts({ call }: { readonly call: UserCall }) {
  const { callId, command, users, tries, sentAt, nextAt, suspicion, redrive } = call;
  const when =
    sentAt !== null
      ? t('users.sent', { at: since(sentAt) })
      : nextAt !== null
        ? t('users.again', { when: upcoming(nextAt, now.value) })
        : t('calls.atSlot');
  return (
    <>
      <dt>{t('users.call')}</dt>
      <dd>
        <code>{command}</code> {redrive && <Badge>{t('calls.redrive')}</Badge>}
        <p class="small faint">
          <Foreign text={callId} /> · {t('users.withOthers', { n: users - 1 })}
        </p>
      </dd>
      <dt>{t('users.attempt')}</dt>
      <dd>
        {t('users.number', { n: tries + 1 })} {when}
      </dd>
      {suspicion !== null && (
        <>
          <dt>{t('users.suspected')}</dt>
          <dd>
            {t('users.suspectedWords', { n: suspicion.failures, since: since(suspicion.since) })}{' '}
            <q>
              <Foreign text={suspicion.errorInfo} />
            </q>
          </dd>
        </>
      )}
    </>
  );
}

function History({ user }: { readonly user: User }) {
  const list = happeningsOf(user);
  if (list.length === 0) {
    return (
      <Empty icon="activity" title={t('users.noHistory')}>
        {t('users.noHistoryWords')}
      </Empty>
    );
  }
  return <Happened list={list} />;
}

/** From all places where something of the user is kept; a fact that stands in two of them is told once. */
function happeningsOf({ call, waiting, letters, outcomes }: User): Happening[] {
  const accepted = [...waiting.map(({ eventId }) => eventId), ...(call?.eventIds ?? [])];
  const all: Happening[] = [
    ...accepted.map((eventId) => ({ at: Number.parseInt(eventId, 10), text: t('happened.accepted') })),
    ...(call?.attempts ?? []).map((attempt) => ({
      at: attempt.at,
      text: t('happened.attempt', { command: attempt.command, answer: answerText(attempt) }),
    })),
    ...letters.slice(0, MOST_LETTERS).flatMap(historyOf),
    ...outcomes.map(({ at, outcome, errorCode }) => ({
      at,
      tone: outcome === 'dead-lettered' ? ('bad' as const) : ('good' as const),
      text: `${named('outcome.', outcome)}${errorCode === 0 ? '' : ` (${errorCode})`}`,
    })),
  ];
  return [...new Map(all.map((one) => [`${one.at} ${one.text}`, one])).values()];
}
