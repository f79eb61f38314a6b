import type { Act, ActivityPage } from '../api/types.ts';
import { duration } from '../i18n/duration.ts';
import { named, t } from '../i18n/language.ts';
import { now } from '../state/clock.ts';
import { PagedList } from '../ui/list.tsx';
import { Page } from '../ui/page.tsx';
import { Badge, type Tone } from '../ui/states.tsx';
import type { Column } from '../ui/table.tsx';
import { Clipped, Foreign, When } from '../ui/words.tsx';

const EVERY_MS = 4_000;
const PAGE_SIZE = 50;

const TONES: Readonly<Record<string, Tone>> = {
  hold: 'bad',
  throttle: 'warn',
  pause: 'warn',
  resume: 'good',
  delete: 'plain',
  forget: 'plain',
  redrive: 'accent',
  import: 'accent',
};

/** What happened and who did it. */
export function Activity() {
  return (
    <Page title={t('nav.activity')} intro={t('activity.intro')}>
      <section class="card">
        <PagedList<ActivityPage, Act>
          path="activity"
          params={{ limit: PAGE_SIZE }}
          cursor="before"
          everyMs={EVERY_MS}
          bones={8}
          rowsOf={({ activity }) => activity}
          emptyOf={() => ({ icon: 'activity', title: t('activity.none'), words: t('activity.noneWords') })}
          caption={t('nav.activity')}
          columns={columns()}
          keyOf={({ at, what, detail }) => `${at} ${what} ${detail}`}
        />
      </section>
    </Page>
  );
}

const columns = (): readonly Column<Act>[] => [
  { name: 'at', label: t('activity.at'), keep: true, cell: ({ at }) => <When ms={at} /> },
  {
    name: 'what',
    label: t('activity.what'),
    cell: ({ what }) => <Badge tone={TONES[what] ?? 'plain'}>{named('act.', what)}</Badge>,
  },
  { name: 'detail', label: t('activity.detail'), cell: (act) => <Foreign text={detailOf(act)} /> },
  {
    name: 'by',
    label: t('activity.by'),
    keep: true,
    cell: ({ what, by }) =>
      by === '' ? (
        <span class="faint">{isOwn(what) ? t('activity.nobody') : '–'}</span>
      ) : (
        <Clipped text={by} />
      ),
  },
  { name: 'lasted', label: t('activity.lasted'), keep: true, cell: (act) => lasted(act) },
];

/** What the fleet does by itself. Of an import it is not kept who began it. */
function isOwn(what: string): boolean {
  return what === 'hold' || what === 'throttle';
}

/** In the viewer's language for what the fleet does by itself; acts tell it in their own words. */
function detailOf({ what, values, detail }: Act): string {
  const { kind, errorCode, errorInfo, command, lowestRate } = values;
  if (what === 'hold') {
    const code = errorCode ? ` (${errorCode})` : '';
    return `${named('hold.', String(kind))}${code}${errorInfo ? `: ${errorInfo}` : ''}`;
  }
  if (what === 'throttle')
    return t('activity.throttled', { command: String(command), rate: Number(lowestRate ?? 0) });
  return detail;
}

function lasted({ what, at, to }: Act) {
  if (to !== null) return duration(to - at);
  if (!isOwn(what)) return <span class="faint">–</span>;
  return <Badge tone="warn">{t('activity.lasts', { age: duration(now.value - at) })}</Badge>;
}
