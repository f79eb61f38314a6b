import { type History, type Span, spans } from '../../api/types.ts';
import { t } from '../../i18n/language.ts';
import { status, trouble } from '../../state/fleet.ts';
import { route, setQuery } from '../../state/route.ts';
import { Choice } from '../../ui/field.tsx';
import { useAsk } from '../../ui/list.tsx';
import { Answered } from '../../ui/problem.tsx';
import { Loading } from '../../ui/states.tsx';
import { Calls } from './calls.tsx';
import { Charts } from './charts.tsx';
import { Figures } from './figures.tsx';
import { Standing } from './standing.tsx';
import { Workers } from './workers.tsx';

/** The steps of a span are 10 s, 1 min and 10 min; the newest one grows meanwhile. */
const EVERY_MS: Readonly<Record<Span, number>> = { '15m': 5_000, '3h': 10_000, '24h': 30_000 };

const SPAN_WORDS = { '15m': 'span.15m', '3h': 'span.3h', '24h': 'span.24h' } as const;

export function Overview() {
  const span = spans.find((known) => known === route.value.query.span) ?? '15m';
  const history = useAsk<History>('history', { span }, EVERY_MS[span]);
  const current = status.value;
  if (current === undefined) return <Loading lines={8} />;
  return (
    <div class="page" data-stale={trouble.value !== undefined}>
      <Standing sentence={current.sentence} also={current.also} />
      <Figures status={current} history={history.data} />
      <section class="page" aria-label={t('overview.charts')}>
        <div class="page-head">
          <h2>{t('overview.charts')}</h2>
          <Choice
            label={t('span.label')}
            value={span}
            options={spans.map((value) => ({ value, text: t(SPAN_WORDS[value]) }))}
            onChange={(value) => setQuery({ span: value === '15m' ? undefined : value })}
          />
        </div>
        <Answered polled={history} bones={6}>
          {(data) => <Charts history={data} />}
        </Answered>
      </section>
      <Workers workers={current.workers} />
      <Calls />
    </div>
  );
}
