import { useAct } from '../../acts/run-act.ts';
import { act } from '../../api/client.ts';
import type { Redrive } from '../../api/types.ts';
import { named, t } from '../../i18n/language.ts';
import { note } from '../../state/notes.ts';
import type { Polled } from '../../state/poll.ts';
import { mayAct } from '../../state/session.ts';
import { Button } from '../../ui/button.tsx';
import { useAsk } from '../../ui/list.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Badge, type Tone } from '../../ui/states.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { Clipped, Foreign, When } from '../../ui/words.tsx';
import type { AskRedrive } from './groups.tsx';

const EVERY_MS = 2_000;
const SHOWN = 5;

const TONES: Readonly<Record<Redrive['state'], Tone>> = {
  running: 'accent',
  done: 'good',
  interrupted: 'warn',
  stopped: 'warn',
};

export function useRedrives(): Polled<{ readonly redrives: readonly Redrive[] }> {
  return useAsk('redrives', {}, EVERY_MS);
}

type Runs = ReturnType<typeof useRedrives>;

/** Redrives that run, with their progress. Nothing when there are none. */
export function RunningRedrives({ runs: { data, refresh } }: { readonly runs: Runs }) {
  const running = data?.redrives.filter(({ state }) => state === 'running') ?? [];
  if (running.length === 0) return null;
  return (
    <section class="page" aria-label={t('redrives.title')}>
      {running.map((redrive) => (
        <Running key={redrive.id} redrive={redrive} onStopped={refresh} />
      ))}
    </section>
  );
}

/** The last redrives that ended. Nothing when there were none. */
export function EndedRedrives({
  runs: { data },
  onRedrive,
}: {
  readonly runs: Runs;
  readonly onRedrive: AskRedrive;
}) {
  const ended = data?.redrives.filter(({ state }) => state !== 'running').slice(0, SHOWN) ?? [];
  if (ended.length === 0) return null;
  return (
    <section class="card">
      <h2>{t('redrives.title')}</h2>
      <Table caption={t('redrives.title')} columns={columns(onRedrive)} rows={ended} keyOf={({ id }) => id} />
    </section>
  );
}

/** How many of those in calls have ended is the progress: how many there will be is not known. */
function Running({ redrive, onStopped }: { readonly redrive: Redrive; readonly onStopped: () => void }) {
  const { id, by, letters, users, imported, failed, startedAt } = redrive;
  const { busy, problem, run } = useAct(
    () => act<Redrive>(`redrives/${id}/stop`, {}),
    () => {
      note('good', t('redrives.stopping', { id }));
      onStopped();
    },
  );
  return (
    <div class="callout" data-tone="accent">
      <Badge tone="accent">{id}</Badge>
      <div class="callout-body">
        <div class="card-head">
          <h3>{t('redrives.running', { letters })}</h3>
          {mayAct.value && (
            <Button icon="close" busy={busy} onClick={() => void run()}>
              {t('redrives.stop')}
            </Button>
          )}
        </div>
        <progress
          class="meter"
          aria-label={t('redrives.progress')}
          value={imported + failed}
          max={Math.max(1, users)}
        />
        <p class="small">
          {t('redrives.soFar', { users, imported, failed })} · <Foreign text={by} /> ·{' '}
          <When ms={startedAt} short />
        </p>
        <Problem text={problem} />
      </div>
    </div>
  );
}

const columns = (onRedrive: AskRedrive): readonly Column<Redrive>[] => [
  { name: 'id', label: t('redrives.id'), cell: ({ id }) => <code>{id}</code> },
  { name: 'at', label: t('redrives.at'), keep: true, cell: ({ startedAt }) => <When ms={startedAt} /> },
  { name: 'by', label: t('redrives.by'), keep: true, cell: ({ by }) => <Clipped text={by} /> },
  {
    name: 'end',
    label: t('redrives.end'),
    cell: ({ state, why }) => (
      <>
        <Badge tone={TONES[state]}>{named('runState.', state)}</Badge>{' '}
        {why !== null && <Foreign text={named('stopped.', why)} />}
      </>
    ),
  },
  {
    name: 'counts',
    label: t('redrives.counts'),
    cell: ({ letters, users, imported, failed }) => {
      const open = users - imported - failed;
      const known = t('redrives.countsWords', { letters, imported, failed });
      return open > 0 ? `${known}${t('redrives.open', { open })}` : known;
    },
  },
  {
    name: 'resume',
    label: t('redrives.next'),
    cell: ({ id, resumable }) =>
      resumable && mayAct.value ? (
        <Button onClick={() => onRedrive({ resume: id }, t('redrives.resumeScope', { id }))}>
          {t('redrives.resume')}
        </Button>
      ) : (
        <span class="faint">–</span>
      ),
  },
];
