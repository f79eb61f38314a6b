import type { ComponentChildren } from 'preact';
import type { History, Status } from '../../api/types.ts';
import { duration } from '../../i18n/duration.ts';
import { count, t } from '../../i18n/language.ts';
import { perMinute } from '../../state/fleet.ts';
import { link } from '../../state/route.ts';

/** The figures that one looks at first. */
export function Figures({
  status,
  history,
}: {
  readonly status: Status;
  readonly history: History | undefined;
}) {
  const { intake, calls, deadLetters } = status;
  const rates = perMinute.value;
  const commands = Object.values(calls);
  const sum = (value: (one: (typeof commands)[number]) => number): number =>
    commands.reduce((total, one) => total + value(one), 0);
  // A fleet calls by one command for the most part: a probe or a user who is called alone must not change it.
  const main = [...commands].sort((a, b) => b.users - a.users)[0];
  const [p50, p99] = [newest(history?.gauges.latencyP50Ms), newest(history?.gauges.latencyP99Ms)];
  const open = sum(({ waiting, active, delayed }) => waiting + active + delayed);
  return (
    <dl class="figures">
      <Figure
        name={t('figure.imported')}
        value={rates === undefined ? '–' : count(Math.round(rates.imported))}
        more={rates === undefined ? '' : t('figure.accepted', { n: Math.round(rates.accepted) })}
      />
      <Figure
        name={t('figure.waiting')}
        value={count(intake.waiting + intake.parked)}
        more={
          intake.oldestAgeMs === null
            ? t('figure.nothingWaits')
            : t('figure.oldest', { age: duration(intake.oldestAgeMs) })
        }
      />
      <Figure
        name={t('figure.calls')}
        value={count(sum(({ startedLastSecond }) => startedLastSecond))}
        more={main === undefined ? '' : t('figure.rate', { rate: main.rate, quota: main.quota })}
      />
      <Figure
        name={t('figure.open')}
        value={count(open)}
        more={t('figure.users', { n: sum(({ users }) => users) })}
      />
      <Figure
        name={t('figure.latency')}
        value={p50 === undefined ? '–' : duration(p50)}
        more={p99 === undefined ? '' : t('figure.p99', { age: duration(p99) })}
      />
      <Figure
        name={<a href={link(['dead-letters'])}>{t('figure.letters')}</a>}
        value={count(deadLetters.total)}
        more={
          deadLetters.oldestAgeMs === null
            ? t('figure.noLetters')
            : t('figure.oldest', { age: duration(deadLetters.oldestAgeMs) })
        }
      />
    </dl>
  );
}

function Figure({
  name,
  value,
  more,
}: {
  readonly name: ComponentChildren;
  readonly value: string;
  readonly more: string;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="value">{value}</dd>
      <dd class="more">{more}</dd>
    </div>
  );
}

function newest(column: readonly (number | null)[] | undefined): number | undefined {
  return column?.findLast((value) => value !== null) ?? undefined;
}
