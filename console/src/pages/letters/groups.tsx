import type { Groups, LetterGroup, Selection } from '../../api/types.ts';
import { count, meaningOf, named, t } from '../../i18n/language.ts';
import { link } from '../../state/route.ts';
import { mayAct } from '../../state/session.ts';
import { Button } from '../../ui/button.tsx';
import { Badge, Empty } from '../../ui/states.tsx';
import { Foreign, When } from '../../ui/words.tsx';
import { scopeWords } from './filter.ts';

/** What the page asks to do with some letters. */
export type AskRedrive = (selection: Selection, scope: string) => void;

/** What died, by reason and code, with what to do: most first. */
export function GroupList({ data, onRedrive }: { readonly data: Groups; readonly onRedrive: AskRedrive }) {
  const { groups, total, redriving, resolved } = data;
  return (
    <section class="card">
      <div class="card-head">
        <h2>{t('groups.title', { n: total })}</h2>
        <span class="small faint">
          <a href={link(['dead-letters'], { state: 'redriving' })}>
            {t('groups.redriving', { n: redriving })}
          </a>
          {' · '}
          <a href={link(['dead-letters'], { state: 'resolved' })}>{t('groups.resolved', { n: resolved })}</a>
        </span>
      </div>
      {groups.length === 0 ? (
        <Empty title={t('groups.none')}>{t('groups.noneWords')}</Empty>
      ) : (
        <ul>
          {groups.map((group) => (
            <Group key={`${group.reason} ${group.errorCode}`} group={group} onRedrive={onRedrive} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Group({ group, onRedrive }: { readonly group: LetterGroup; readonly onRedrive: AskRedrive }) {
  const { reason, errorCode, errorInfo, newestDeadSince, codePage, meaning } = group;
  const filter = { reason, code: errorCode };
  const href = link(['dead-letters'], { reason, code: String(errorCode) });
  return (
    <li class="group">
      <a
        class="number"
        href={href}
        aria-label={t('groups.show', { n: group.count, reason: named('reason.', reason) })}
      >
        {count(group.count)}
      </a>
      <div class="group-words">
        <p class="names">
          <Badge tone="bad">{named('reason.', reason)}</Badge>
          {errorCode !== 0 && <CodeLink code={errorCode} page={codePage} />}
          {errorCode !== 0 && meaning !== '' && <span class="soft">{meaningOf(meaning)}</span>}
        </p>
        <p>{adviceOf(reason, group.advice)}</p>
        <p class="small faint">
          {errorInfo !== '' && (
            <>
              <q>
                <Foreign text={errorInfo} />
              </q>{' '}
            </>
          )}
          {newestDeadSince !== null && (
            <>
              {t('groups.newest')} <When ms={newestDeadSince} short />
            </>
          )}
        </p>
      </div>
      {mayAct.value && reason !== 'invalid' && (
        <Button icon="redrive" onClick={() => onRedrive({ filter }, scopeWords({ state: 'dead', filter }))}>
          {t('redrive.button')}
        </Button>
      )}
    </li>
  );
}

/** Leads to the page that explains the code, where there is one. */
export function CodeLink({ code, page }: { readonly code: number; readonly page: string | null }) {
  if (page === null) return <code>{code}</code>;
  return (
    <a href={page} target="_blank" rel="noreferrer" title={t('letter.codePage')}>
      <code>{code}</code>
      <span class="unseen"> {t('letter.codePage')}</span>
    </a>
  );
}

/** In the viewer's language where it is known, else in the server's. */
export function adviceOf(reason: string, advice: string): string {
  const words = named('reasonAdvice.', reason);
  return words === reason ? advice : words;
}
