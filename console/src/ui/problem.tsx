import type { ComponentChildren } from 'preact';
import { errorWords } from '../api/error-words.ts';
import { t } from '../i18n/language.ts';
import type { Polled } from '../state/poll.ts';
import { Button } from './button.tsx';
import { Callout, Loading } from './states.tsx';
import { Foreign } from './words.tsx';

/** Why an act did not happen; nothing without a text. */
export function Problem({ text }: { readonly text: string | undefined }) {
  if (text === undefined) return null;
  return (
    <Callout tone="bad" live>
      <p>
        <Foreign text={text} />
      </p>
    </Callout>
  );
}

/**
 * What a question led to: bones before the first answer, the answer, and after a failure the last good answer
 * with the reason above it.
 */
export function Answered<T>({
  polled,
  bones,
  children,
}: {
  readonly polled: Polled<T>;
  readonly bones?: number;
  readonly children: (data: T) => ComponentChildren;
}) {
  const { data, error, refresh } = polled;
  if (data === undefined && error === undefined) return <Loading lines={bones} />;
  return (
    <>
      {error !== undefined && !isSaidAbove(error.code) && (
        <Callout tone="bad" live>
          <p>
            <Foreign text={errorWords(error)} />
          </p>
          <div class="actions">
            <Button icon="redrive" onClick={refresh}>
              {t('state.retry')}
            </Button>
          </div>
        </Callout>
      )}
      {data !== undefined && children(data)}
      {data === undefined && error !== undefined && isSaidAbove(error.code) && <Loading lines={bones} />}
    </>
  );
}

/** The shell says these once for the whole page. */
function isSaidAbove(code: string): boolean {
  return ['redis-away', 'unreachable', 'stopping', 'no-session'].includes(code);
}
