import type { Worker } from '../../api/types.ts';
import { t } from '../../i18n/language.ts';
import { now } from '../../state/clock.ts';
import { Badge, Empty } from '../../ui/states.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { Foreign, When } from '../../ui/words.tsx';

/** A worker tells of itself every few seconds. */
const SILENT_MS = 10_000;

/** The version that most have; one that differs stands out, as in the middle of a deploy. */
function usualVersion(workers: readonly Worker[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { version } of workers) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

export function Workers({ workers }: { readonly workers: readonly Worker[] }) {
  const usual = usualVersion(workers);
  const columns: readonly Column<Worker>[] = [
    {
      name: 'id',
      label: t('workers.id'),
      cell: ({ id }) => (
        <code>
          <Foreign text={id} />
        </code>
      ),
    },
    {
      name: 'version',
      label: t('workers.version'),
      cell: ({ version }) =>
        version === usual ? (
          <Foreign text={version} />
        ) : (
          <Badge tone="warn">{t('workers.other', { version })}</Badge>
        ),
    },
    {
      name: 'seen',
      label: t('workers.seen'),
      keep: true,
      cell: ({ lastSeen }) => (
        <>
          <span class="dot" data-tone={now.value - lastSeen > SILENT_MS ? 'warn' : 'good'} />{' '}
          <When ms={lastSeen} short />
        </>
      ),
    },
    { name: 'intake', label: t('workers.intake'), cell: ({ intake = '' }) => <Foreign text={intake} /> },
  ];
  return (
    <section class="card">
      <div class="card-head">
        <h2>{t('workers.title')}</h2>
      </div>
      {workers.length === 0 ? (
        <Empty icon="warn" title={t('workers.none')}>
          {t('workers.noneWords')}
        </Empty>
      ) : (
        <Table caption={t('workers.title')} columns={columns} rows={workers} keyOf={({ id }) => id} />
      )}
    </section>
  );
}
