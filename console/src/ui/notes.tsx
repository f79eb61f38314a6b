import { t } from '../i18n/language.ts';
import { dismiss, notes } from '../state/notes.ts';
import { Icon } from './icon.tsx';
import { Foreign } from './words.tsx';

export function Notes() {
  return (
    <div class="notes" role="status" aria-live="polite">
      {notes.value.map(({ id, tone, text }) => (
        <div key={id} class="note" data-tone={tone}>
          <p>
            <Foreign text={text} />
          </p>
          <button
            type="button"
            class="icon-button"
            aria-label={t('note.dismiss')}
            onClick={() => dismiss(id)}
          >
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
