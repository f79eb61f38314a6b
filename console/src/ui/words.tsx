import { relative } from '../i18n/duration.ts';
import { locale, t } from '../i18n/language.ts';
import { now } from '../state/clock.ts';
import { note } from '../state/notes.ts';
import { piecesOf } from './foreign.ts';
import { Icon } from './icon.tsx';

/**
 * A text that somebody else wrote: a nick, the API's words. It is text and never markup; what does not print is
 * shown as its number; and its direction does not reach what stands around it.
 */
export function Foreign({ text }: { readonly text: string }) {
  return (
    <bdi class="foreign">
      {piecesOf(text).map(({ isEscaped, text: piece }, i) =>
        isEscaped ? (
          <span key={i} class="foreign-escape">
            {piece}
          </span>
        ) : (
          piece
        ),
      )}
    </bdi>
  );
}

/** A name in a table: on one line, cut if it is long; its title has it all. */
export function Clipped({ text }: { readonly text: string }) {
  return (
    <span class="clip" title={text}>
      <Foreign text={text} />
    </span>
  );
}

/** An ID that one wants to take along. */
export function Copyable({ text }: { readonly text: string }) {
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => note('good', t('copy.done', { text })),
      (error: Error) => note('bad', t('copy.failed', { why: error.message })),
    );
  };
  return (
    <>
      <code>
        <Foreign text={text} />
      </code>
      {/* Browsers give the clipboard to secure pages only: TLS, or this machine. */}
      {isSecureContext && (
        <button type="button" class="icon-button" aria-label={t('copy.label', { text })} onClick={copy}>
          <Icon name="copy" size={14} />
        </button>
      )}
    </>
  );
}

const DAY_MS = 86_400_000;

/** A moment in the viewer's zone, with how long ago it was. `ms` since 1970, the fleet's clock. */
export function When({ ms, short = false }: { readonly ms: number; readonly short?: boolean }) {
  const at = new Date(ms);
  const isNear = Math.abs(now.value - ms) < DAY_MS;
  const time = new Intl.DateTimeFormat(locale.value, {
    ...(!isNear && { year: 'numeric', month: 'short', day: 'numeric' }),
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).format(at);
  const whole = new Intl.DateTimeFormat(locale.value, { dateStyle: 'full', timeStyle: 'long' }).format(at);
  return (
    <time dateTime={at.toISOString()} title={whole}>
      {!short && `${time} `}
      <span class={short ? undefined : 'faint'}>
        {short ? relative(ms, now.value) : `· ${relative(ms, now.value)}`}
      </span>
    </time>
  );
}

/** A moment for the inside of a sentence: the time of day, with the date if that was another day. */
export function since(ms: number): string {
  const isNear = now.value - ms < DAY_MS;
  return new Intl.DateTimeFormat(locale.value, {
    ...(!isNear && { month: 'short', day: 'numeric' }),
    hour: '2-digit',
    minute: '2-digit',
  }).format(ms);
}
