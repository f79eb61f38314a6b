import { address } from '../../api/client.ts';
import { type Letter, type LetterPage, letterStates, reasons } from '../../api/types.ts';
import { duration } from '../../i18n/duration.ts';
import { count, named, t } from '../../i18n/language.ts';
import { link, route, setQuery } from '../../state/route.ts';
import { mayAct } from '../../state/session.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { DraftField, Select } from '../../ui/field.tsx';
import { type EmptyWords, PagedList } from '../../ui/list.tsx';
import { Badge, type Tone } from '../../ui/states.tsx';
import type { Column } from '../../ui/table.tsx';
import { Clipped, Foreign, When } from '../../ui/words.tsx';
import { isEmptyFilter, type LetterQuery, readQuery } from './filter.ts';

const EVERY_MS = 5_000;
const PAGE_SIZE = 25;
const HOUR = 3_600_000;
const AGES = [HOUR / 4, HOUR, 24 * HOUR, 7 * 24 * HOUR];

export const STATE_TONES: Readonly<Record<string, Tone>> = {
  dead: 'bad',
  redriving: 'accent',
  resolved: 'good',
};

export function LetterList({
  onRedrive,
  onDelete,
}: {
  readonly onRedrive: (query: LetterQuery) => void;
  readonly onDelete: (query: LetterQuery) => void;
}) {
  const query = readQuery(route.value.query);
  const { state, filter } = query;
  return (
    <section class="card" aria-labelledby="letters-title">
      <div class="card-head">
        <h2 id="letters-title">{t('letters.title')}</h2>
        <div class="actions">
          {mayAct.value && state === 'dead' && (
            <Button icon="redrive" onClick={() => onRedrive(query)}>
              {t('redrive.these')}
            </Button>
          )}
          {mayAct.value && state !== 'redriving' && (
            <Button icon="remove" onClick={() => onDelete(query)}>
              {t('delete.these')}
            </Button>
          )}
          <ButtonLink icon="download" href={address('dead-letters/export', { state, ...filter })} download>
            {t('letters.export')}
          </ButtonLink>
        </div>
      </div>
      <Filters query={query} />
      <PagedList<LetterPage, Letter>
        path="dead-letters"
        params={{ state, ...filter, limit: PAGE_SIZE }}
        cursor="cursor"
        everyMs={EVERY_MS}
        rowsOf={({ letters }) => letters}
        emptyOf={(page) => emptyWords(page, isEmptyFilter(filter))}
        caption={t('letters.title')}
        columns={columns()}
        keyOf={({ eventId }) => eventId}
      />
    </section>
  );
}

/** A page that looked at many letters and found none that is meant may still go on. */
function emptyWords({ next }: LetterPage, isAll: boolean): EmptyWords {
  return {
    icon: isAll ? 'good' : 'search',
    title: t(next === null ? 'letters.none' : 'letters.noneYet'),
    words: t(isAll ? 'letters.noneWords' : next === null ? 'letters.noneMatch' : 'letters.goOn'),
  };
}

const columns = (): readonly Column<Letter>[] => [
  { name: 'since', label: t('letters.since'), keep: true, cell: ({ deadSince }) => <When ms={deadSince} /> },
  {
    name: 'user',
    label: t('letters.user'),
    keep: true,
    cell: ({ userId }) =>
      userId === '' ? <span class="faint">{t('letters.noUser')}</span> : <Clipped text={userId} />,
  },
  {
    name: 'reason',
    label: t('letters.reason'),
    cell: ({ reason, errorCode, state }) => (
      <>
        <Badge tone={STATE_TONES[state]}>{named('reason.', reason)}</Badge>{' '}
        {errorCode !== 0 && <code>{errorCode}</code>}{' '}
        {state !== 'dead' && <Badge tone={STATE_TONES[state]}>{named('letterState.', state)}</Badge>}
      </>
    ),
  },
  {
    name: 'words',
    label: t('letters.words'),
    cell: ({ errorInfo }) => (
      <span class="clamp" title={errorInfo}>
        <Foreign text={errorInfo} />
      </span>
    ),
  },
  {
    name: 'attempts',
    label: t('letters.attempts'),
    align: 'right',
    cell: ({ attempts }) => count(attempts.length),
  },
  {
    name: 'open',
    label: t('letters.event'),
    keep: true,
    cell: ({ eventId }) => (
      <a href={link(['dead-letters', eventId])}>
        <code>{eventId}</code>
      </a>
    ),
  },
];

/** Each change is a new address; the cursor belongs to the old one. */
function Filters({ query: { state, filter } }: { readonly query: LetterQuery }) {
  const set = (changes: Readonly<Record<string, string>>): void =>
    setQuery({ ...changes, cursor: undefined });
  const any = { value: '', text: t('filter.any') };
  const { olderThanMs, newerThanMs } = filter;
  const age =
    newerThanMs !== undefined
      ? `newer ${newerThanMs}`
      : olderThanMs !== undefined
        ? `older ${olderThanMs}`
        : '';
  const ages = [
    ...AGES.map((ms) => ({ value: `newer ${ms}`, text: t('filter.newerThan', { age: duration(ms) }) })),
    ...AGES.slice(1).map((ms) => ({
      value: `older ${ms}`,
      text: t('filter.olderThan', { age: duration(ms) }),
    })),
  ];
  return (
    <search class="filters" aria-label={t('filter.label')}>
      <Select
        label={t('filter.state')}
        value={state}
        options={letterStates.map((value) => ({ value, text: named('letterState.', value) }))}
        onChange={(value) => set({ state: value === 'dead' ? '' : value })}
      />
      <Select
        label={t('filter.reason')}
        value={filter.reason ?? ''}
        options={[any, ...reasons.map((value) => ({ value, text: named('reason.', value) }))]}
        onChange={(reason) => set({ reason })}
      />
      <DraftField
        label={t('filter.code')}
        inputMode="numeric"
        placeholder={t('filter.any')}
        value={filter.code === undefined ? '' : String(filter.code)}
        onCommit={(code) => set({ code })}
      />
      <DraftField
        label={t('filter.user')}
        placeholder={t('filter.any')}
        value={filter.user ?? ''}
        onCommit={(user) => set({ user })}
      />
      <Select
        label={t('filter.age')}
        value={age}
        options={[any, ...ages]}
        onChange={(value) => {
          const [kind, ms = ''] = value.split(' ');
          set({ newerThanMs: kind === 'newer' ? ms : '', olderThanMs: kind === 'older' ? ms : '' });
        }}
      />
    </search>
  );
}
