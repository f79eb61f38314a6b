import { useAct } from '../acts/run-act.ts';
import { chooseLanguage, language, languages, t } from '../i18n/language.ts';
import { forgetSeen } from '../state/poll.ts';
import { session, signOut } from '../state/session.ts';
import { chooseTheme, theme, themes } from '../state/theme.ts';
import { Button } from '../ui/button.tsx';
import { Choice } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { Badge } from '../ui/states.tsx';
import { Foreign } from '../ui/words.tsx';

const LANGUAGE_NAMES = { en: 'English', zh: '中文' } as const;
const THEME_WORDS = { auto: 'theme.auto', light: 'theme.light', dark: 'theme.dark' } as const;

/** Who looks, what they may do, and how they leave. */
export function Viewer() {
  const { busy, problem, run } = useAct(signOut, forgetSeen);
  const viewer = session.value;
  if (viewer === undefined || viewer === null) return null;
  return (
    <div class="viewer">
      <p>
        <Foreign text={viewer.name} />{' '}
        <Badge tone="plain">{t(viewer.rights === 'act' ? 'viewer.act' : 'viewer.view')}</Badge>
        {!viewer.showUsers && <span class="faint"> {t('viewer.masked')}</span>}
      </p>
      {viewer.kind === 'session' && (
        <Button kind="quiet" icon="leave" busy={busy} onClick={() => void run()}>
          {t('viewer.leave')}
        </Button>
      )}
      <Problem text={problem} />
    </div>
  );
}

export function Preferences() {
  return (
    <div class="preferences">
      <Choice
        label={t('language.label')}
        value={language.value}
        options={languages.map((value) => ({ value, text: LANGUAGE_NAMES[value] }))}
        onChange={(value) => void chooseLanguage(value)}
      />
      <Choice
        label={t('theme.label')}
        value={theme.value}
        options={themes.map((value) => ({ value, text: t(THEME_WORDS[value]) }))}
        onChange={chooseTheme}
      />
    </div>
  );
}
