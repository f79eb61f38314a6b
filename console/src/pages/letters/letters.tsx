import { useState } from 'preact/hooks';
import { DeleteDialog } from '../../acts/delete.tsx';
import { RedriveDialog } from '../../acts/redrive.tsx';
import type { Groups, Selection } from '../../api/types.ts';
import { t } from '../../i18n/language.ts';
import { useAsk } from '../../ui/list.tsx';
import { Page } from '../../ui/page.tsx';
import { Answered } from '../../ui/problem.tsx';
import { isEmptyFilter, type LetterQuery, scopeWords } from './filter.ts';
import { GroupList } from './groups.tsx';
import { LetterList } from './list.tsx';
import { EndedRedrives, RunningRedrives, useRedrives } from './redrives.tsx';

const EVERY_MS = 4_000;

interface Asked {
  readonly act: 'redrive' | 'delete';
  readonly selection: Selection;
  readonly state: string;
  readonly scope: string;
}

/** What died, why, what to do about it, and doing it. */
export function DeadLetters() {
  const [asked, setAsked] = useState<Asked | undefined>(undefined);
  const groups = useAsk<Groups>('dead-letters/groups', {}, EVERY_MS);
  const runs = useRedrives();
  const close = (): void => setAsked(undefined);
  const redrive = (selection: Selection, scope: string): void =>
    setAsked({ act: 'redrive', selection, state: 'dead', scope });
  const askFor = (act: Asked['act'], query: LetterQuery): void =>
    setAsked({ act, selection: selectionOf(query), state: query.state, scope: scopeWords(query) });
  return (
    <Page title={t('nav.letters')} intro={t('letters.intro')}>
      <RunningRedrives runs={runs} />
      <Answered polled={groups}>{(data) => <GroupList data={data} onRedrive={redrive} />}</Answered>
      <LetterList
        onRedrive={(query) => askFor('redrive', query)}
        onDelete={(query) => askFor('delete', query)}
      />
      <EndedRedrives runs={runs} onRedrive={redrive} />
      {asked?.act === 'redrive' && <RedriveDialog {...asked} onClose={close} />}
      {asked?.act === 'delete' && <DeleteDialog {...asked} onClose={close} onDone={groups.refresh} />}
    </Page>
  );
}

function selectionOf({ filter }: LetterQuery): Selection {
  return isEmptyFilter(filter) ? { all: true } : { filter };
}
