import { useEffect, useState } from 'preact/hooks';
import { ApiError, act } from '../api/client.ts';
import { errorWords } from '../api/error-words.ts';
import type { DryRun, Redrive, Selection } from '../api/types.ts';
import { named, t } from '../i18n/language.ts';
import { note } from '../state/notes.ts';
import { go } from '../state/route.ts';
import { Check, Field } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { Callout, Loading } from '../ui/states.tsx';
import { ActDialog, type Asked } from './act-dialog.tsx';

const PATH = 'dead-letters/redrive';
const MAX_RATE = 1_000_000;

/** Puts letters into calls again. It opens with a dry run, so that what will happen is seen before it does. */
export function RedriveDialog({
  selection,
  scope,
  onClose,
}: Asked & {
  readonly selection: Selection;
  /** Which letters, in words. */
  readonly scope: string;
}) {
  const [rate, setRate] = useState('');
  const [stopAt, setStopAt] = useState('50');
  const [force, setForce] = useState(false);
  // What goes on with an earlier redrive is as that one was.
  const isResumed = 'resume' in selection;
  const isMany = !('eventIds' in selection && selection.eventIds.length === 1);
  const badRate = rate !== '' && !(/^\d+$/.test(rate) && Number(rate) >= 1 && Number(rate) <= MAX_RATE);
  const badStop = !(/^\d+$/.test(stopAt) && Number(stopAt) <= 100);
  const { result, problem } = useDryRun({ ...selection, force });
  const isEmpty = result === undefined || (result.complete && result.letters === 0);
  return (
    <ActDialog
      title={t('redrive.title')}
      about={{ text: scope }}
      words={t('redrive.words')}
      button={{
        text: result?.complete ? t('redrive.doMany', { n: result.letters }) : t('redrive.do'),
        kind: 'primary',
        icon: 'redrive',
        disabled: badRate || badStop || isEmpty,
      }}
      act={() =>
        act<Redrive>(PATH, {
          ...selection,
          force,
          stopAtFailures: Number(stopAt) / 100,
          ...(rate !== '' && { rate: Number(rate) }),
        })
      }
      onDone={({ id }) => {
        note('good', t('redrive.started', { id }));
        go(['dead-letters']);
      }}
      onClose={onClose}
    >
      <Problem text={problem} />
      {problem === undefined && <DryRunWords result={result} />}
      {isMany && (
        <div class="filters">
          <Field
            label={t('redrive.rate')}
            hint={t('redrive.rateHint')}
            inputMode="numeric"
            value={rate}
            problem={badRate ? t('redrive.badRate') : undefined}
            onValue={(value) => setRate(value.trim())}
          />
          <Field
            label={t('redrive.stopAt')}
            hint={t('redrive.stopAtHint')}
            inputMode="numeric"
            value={stopAt}
            problem={badStop ? t('redrive.badStop') : undefined}
            onValue={(value) => setStopAt(value.trim())}
          />
        </div>
      )}
      {!isResumed && (
        <Check checked={force} onChange={setForce}>
          {t('redrive.force')}
        </Check>
      )}
    </ActDialog>
  );
}

function useDryRun(request: object): { readonly result?: DryRun; readonly problem?: string } {
  const key = JSON.stringify(request);
  const [answer, setAnswer] = useState<{ key: string; result?: DryRun; problem?: string }>({ key: '' });
  // `key` is the request
  useEffect(() => {
    let isOver = false;
    act<DryRun>(PATH, { ...request, dryRun: true }).then(
      (result) => !isOver && setAnswer({ key, result }),
      (error: unknown) =>
        !isOver && setAnswer({ key, problem: error instanceof ApiError ? errorWords(error) : String(error) }),
    );
    return () => {
      isOver = true;
    };
  }, [key]);
  return answer.key === key ? answer : {};
}

function DryRunWords({ result }: { readonly result: DryRun | undefined }) {
  if (result === undefined) return <Loading lines={2} />;
  const { letters, users, left, complete } = result;
  const leftOut = Object.entries(left).filter(([, n]) => n > 0);
  return (
    <Callout tone={letters === 0 ? 'warn' : 'accent'} icon="search">
      <p>
        <strong>{t('redrive.dryRun')}</strong>{' '}
        {letters === 0 && complete ? t('redrive.nothing') : t('redrive.would', { letters, users })}
      </p>
      {!complete && <p>{t('redrive.incomplete')}</p>}
      {leftOut.length > 0 && (
        <ul>
          {leftOut.map(([why, n]) => (
            <li key={why}>{t('redrive.left', { n, why: named('left.', why) })}</li>
          ))}
        </ul>
      )}
    </Callout>
  );
}
