import { ask, type Params } from '../api/client.ts';
import { t } from '../i18n/language.ts';
import { type Polled, usePoll } from '../state/poll.ts';
import { link, route } from '../state/route.ts';
import type { IconName } from './icon.tsx';
import { Answered } from './problem.tsx';
import { Empty } from './states.tsx';
import { Table, type TableProps } from './table.tsx';

/** Asks the server again and again while the page is seen. */
export function useAsk<T>(path: string, params: Params, everyMs: number): Polled<T> {
  const key = `${path} ${JSON.stringify(params)}`;
  return usePoll(key, (signal) => ask<T>(path, params, signal), everyMs);
}

/** What stands in place of a table without rows. */
export interface EmptyWords {
  readonly icon?: IconName;
  readonly title: string;
  readonly words: string;
}

/** A table, or what it means that there are no rows. */
export function Rows<Row>({ empty, ...table }: TableProps<Row> & { readonly empty: EmptyWords }) {
  if (table.rows.length > 0) return <Table {...table} />;
  return (
    <Empty icon={empty.icon} title={empty.title}>
      {empty.words}
    </Empty>
  );
}

interface Answer {
  /** Where the next page begins; null at the end. */
  readonly next: string | number | null;
}

/**
 * A list of the server, page by page, the newest first. Where a page begins stands in the address, as the parameter
 * `cursor` that the server takes, beside the filter.
 */
export function PagedList<T extends Answer, Row>({
  path,
  params,
  cursor,
  everyMs,
  bones,
  rowsOf,
  emptyOf,
  ...table
}: Omit<TableProps<Row>, 'rows'> & {
  readonly path: string;
  readonly params: Params;
  readonly cursor: string;
  readonly everyMs: number;
  readonly bones?: number;
  readonly rowsOf: (answer: T) => readonly Row[];
  readonly emptyOf: (answer: T) => EmptyWords;
}) {
  const at = route.value.query[cursor];
  const polled = useAsk<T>(path, { ...params, [cursor]: at }, everyMs);
  return (
    <Answered polled={polled} bones={bones}>
      {(answer) => (
        <>
          <Rows {...table} rows={rowsOf(answer)} empty={emptyOf(answer)} />
          <Pager cursor={cursor} at={at} next={answer.next} />
        </>
      )}
    </Answered>
  );
}

function Pager({ cursor, at, next }: Answer & { readonly cursor: string; readonly at: string | undefined }) {
  if (next === null && at === undefined) return null;
  const { path, query } = route.value;
  return (
    <nav class="pager" aria-label={t('pager.label')}>
      {at === undefined ? (
        <span />
      ) : (
        <a href={link(path, { ...query, [cursor]: undefined })}>{t('pager.first')}</a>
      )}
      {next === null ? (
        <span class="faint">{t('pager.end')}</span>
      ) : (
        <a class="button" href={link(path, { ...query, [cursor]: String(next) })}>
          {t('pager.next')}
        </a>
      )}
    </nav>
  );
}
