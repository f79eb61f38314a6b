import { useEffect, useState } from 'preact/hooks';
import { t } from '../../i18n/language.ts';
import { go, route } from '../../state/route.ts';
import { Button } from '../../ui/button.tsx';
import { Field } from '../../ui/field.tsx';
import { Page } from '../../ui/page.tsx';
import { Empty } from '../../ui/states.tsx';
import { UserReport } from './report.tsx';

/** Where is user X? */
export function Users() {
  const userId = route.value.path[1] ?? '';
  const [typed, setTyped] = useState(userId);
  useEffect(() => setTyped(userId), [userId]);
  return (
    <Page title={t('nav.users')} intro={t('users.intro')}>
      <search>
        <form
          class="search"
          onSubmit={(event) => {
            event.preventDefault();
            if (typed.trim() !== '') go(['users', typed.trim()]);
          }}
        >
          <Field
            label={t('users.id')}
            value={typed}
            spellcheck={false}
            autocomplete="off"
            autocapitalize="none"
            maxLength={200}
            onValue={setTyped}
          />
          <Button type="submit" kind="primary" icon="search">
            {t('users.find')}
          </Button>
        </form>
      </search>
      {userId === '' ? (
        <Empty icon="users" title={t('users.empty')}>
          {t('users.emptyWords')}
        </Empty>
      ) : (
        <UserReport key={userId} userId={userId} />
      )}
    </Page>
  );
}
