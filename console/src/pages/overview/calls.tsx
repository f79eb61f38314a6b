import type { Attempt, Call, CallPage } from '../../api/types.ts';
import { count, t } from '../../i18n/language.ts';
import { link, route } from '../../state/route.ts';
import { Rows, useAsk } from '../../ui/list.tsx';
import { Answered } from '../../ui/problem.tsx';
import { Badge } from '../../ui/states.tsx';
import type { Column } from '../../ui/table.tsx';
import { Foreign, When } from '../../ui/words.tsx';

const EVERY_MS = 2_000;
const FEW = 10;
const MANY = 200;

/** What the API said, or that it said nothing. */
export function answerText({ errorCode, httpStatus }: Attempt): string {
  if (errorCode !== 0) return String(errorCode);
  return httpStatus === 0 ? t('answer.none') : `HTTP ${httpStatus}`;
}

const columns = (): readonly Column<Call>[] => [
  {
    name: 'command',
    label: t('calls.command'),
    cell: ({ command, redrive, suspects }) => (
      <>
        <code>{command}</code> {redrive && <Badge>{t('calls.redrive')}</Badge>}{' '}
        {suspects.length > 0 && <Badge tone="warn">{t('calls.suspect')}</Badge>}
      </>
    ),
  },
  { name: 'users', label: t('calls.users'), align: 'right', cell: ({ users }) => count(users) },
  {
    name: 'oldest',
    label: t('calls.oldest'),
    cell: ({ oldestEventAt }) => <When ms={oldestEventAt} short />,
  },
  { name: 'tries', label: t('calls.tries'), align: 'right', cell: ({ tries }) => count(tries) },
  {
    name: 'last',
    label: t('calls.last'),
    cell: ({ lastAttempt }) =>
      lastAttempt === null ? (
        <span class="faint">{t('calls.notYet')}</span>
      ) : (
        <>
          <Foreign text={answerText(lastAttempt)} /> <When ms={lastAttempt.at} short />
        </>
      ),
  },
  { name: 'next', label: t('calls.next'), cell: (call) => <Next call={call} /> },
];

function Next({ call: { state, nextAt, sentAt } }: { readonly call: Call }) {
  if (state === 'later' && nextAt !== null) return <When ms={nextAt} short />;
  if (state === 'on-the-wire') {
    return (
      <>
        {t('calls.onTheWire')} {sentAt !== null && <When ms={sentAt} short />}
      </>
    );
  }
  return <>{t('calls.atSlot')}</>;
}

/** Calls that stand open, those with the oldest event first. */
export function Calls() {
  const limit = route.value.query.calls === 'all' ? MANY : FEW;
  const polled = useAsk<CallPage>('calls', { limit }, EVERY_MS);
  return (
    <section class="card">
      <div class="card-head">
        <h2>{t('calls.title')}</h2>
        {polled.data !== undefined && polled.data.total > FEW && (
          <a href={link([], { ...route.value.query, calls: limit === FEW ? 'all' : undefined })}>
            {limit === FEW ? t('calls.all', { n: polled.data.total }) : t('calls.few')}
          </a>
        )}
      </div>
      <Answered polled={polled}>
        {({ calls }) => (
          <Rows
            caption={t('calls.title')}
            columns={columns()}
            rows={calls}
            empty={{ title: t('calls.none'), words: t('calls.noneWords') }}
            keyOf={({ callId }) => callId}
          />
        )}
      </Answered>
    </section>
  );
}
