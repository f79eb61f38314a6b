import type { ComponentChildren } from 'preact';
import { t } from '../i18n/language.ts';
import { fleetChanged } from '../state/fleet.ts';
import { Button, type ButtonProps } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Problem } from '../ui/problem.tsx';
import { Foreign } from '../ui/words.tsx';
import { useAct } from './run-act.ts';

/** What each dialog of an act is told by its page. */
export interface Asked {
  readonly onClose: () => void;
}

/**
 * The frame of an act: what it is about, what it does, its fields, why it did not happen, and its button. Done, it
 * closes; failed, it stays with what was typed.
 */
export function ActDialog<T>({
  title,
  about,
  words,
  button,
  act,
  onDone,
  onClose,
  children,
}: Asked & {
  readonly title: string;
  /** Whom or which letters it is about; it may be somebody else's text. */
  readonly about?: { readonly text: string; readonly isId?: boolean };
  readonly words: string;
  /** `disabled`: something is missing, so that Enter does nothing either. */
  readonly button: Pick<ButtonProps, 'kind' | 'icon' | 'disabled'> & { readonly text: string };
  readonly act: () => Promise<T>;
  /** Says what it led to. */
  readonly onDone: (result: T) => void;
  readonly children?: ComponentChildren;
}) {
  const { busy, problem, run } = useAct(act, (result) => {
    onDone(result);
    fleetChanged();
    onClose();
  });
  const { text, ...look } = button;
  return (
    <Dialog title={title} onClose={onClose}>
      {about !== undefined && <p>{about.isId ? <Id text={about.text} /> : <Foreign text={about.text} />}</p>}
      <p class="soft">{words}</p>
      <form
        class="callout-body"
        onSubmit={(event) => {
          event.preventDefault();
          if (look.disabled !== true) void run();
        }}
      >
        {children}
        <Problem text={problem} />
        <div class="actions">
          <Button onClick={onClose}>{t('dialog.cancel')}</Button>
          <Button type="submit" {...look} busy={busy}>
            {text}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Id({ text }: { readonly text: string }) {
  return (
    <code>
      <Foreign text={text} />
    </code>
  );
}
