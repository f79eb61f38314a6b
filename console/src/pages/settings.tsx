import type { Setting, Settings as SettingsAnswer } from '../api/types.ts';
import { t } from '../i18n/language.ts';
import { link, route, setQuery } from '../state/route.ts';
import { Check, Field } from '../ui/field.tsx';
import { Rows, useAsk } from '../ui/list.tsx';
import { Page } from '../ui/page.tsx';
import { Answered } from '../ui/problem.tsx';
import { Badge, Callout } from '../ui/states.tsx';
import type { Column } from '../ui/table.tsx';
import { Foreign } from '../ui/words.tsx';

const EVERY_MS = 10_000;

/** What each setting is, where that comes from, and which workers have another value. */
export function Settings() {
  const polled = useAsk<SettingsAnswer>('settings', {}, EVERY_MS);
  return (
    <Page title={t('nav.settings')} intro={t('settings.intro')}>
      <Answered polled={polled} bones={12}>
        {(data) => <List data={data} />}
      </Answered>
    </Page>
  );
}

function List({ data: { settings, workers } }: { readonly data: SettingsAnswer }) {
  const { q = '', set } = route.value.query;
  const differing = settings.filter(isOdd);
  const silent = workers.filter(({ known }) => !known);
  const word = q.toLowerCase();
  const shown = settings.filter(
    ({ variable, path, doc, origin }) =>
      (set === undefined || !isDefault(origin)) &&
      [variable, path, doc].some((text) => text.toLowerCase().includes(word)),
  );
  return (
    <>
      {differing.length > 0 && (
        <Callout tone="warn">
          <p>
            <strong>{t('settings.differ', { n: differing.length })}</strong> {t('settings.differWords')}
          </p>
          <ul class="mono small">
            {differing.map(({ variable, path }) => (
              <li key={path}>
                <a href={link(['settings'], { q: variable || path })}>{variable || path}</a>
              </li>
            ))}
          </ul>
        </Callout>
      )}
      {silent.length > 0 && (
        <Callout tone="plain">
          <p>
            {t('settings.unknown')} <Foreign text={silent.map(({ id }) => id).join(', ')} />
          </p>
        </Callout>
      )}
      <section class="card">
        <div class="search">
          <Field
            label={t('settings.search')}
            type="search"
            value={q}
            onValue={(value) => setQuery({ q: value })}
          />
          <Check
            checked={set !== undefined}
            onChange={(checked) => setQuery({ set: checked ? '1' : undefined })}
          >
            {t('settings.onlySet')}
          </Check>
        </div>
        <Rows
          caption={t('nav.settings')}
          columns={columns()}
          rows={shown}
          empty={{ icon: 'search', title: t('settings.none'), words: t('settings.noneWords') }}
          keyOf={({ path }) => path}
          toneOf={(setting) => (isOdd(setting) ? 'warn' : undefined)}
        />
      </section>
    </>
  );
}

/** Workers of one machine have ports of their own: that is no sign of a missed deploy. */
function isOdd({ path, disagreeing }: Setting): boolean {
  return disagreeing.length > 0 && !/\.port$/.test(path);
}

const columns = (): readonly Column<Setting>[] => [
  {
    name: 'variable',
    label: t('settings.variable'),
    cell: ({ variable, path, doc }) => (
      <>
        <code>
          <Breakable name={variable || path} />
        </code>
        <p class="small faint">
          <Doc text={doc} />
        </p>
      </>
    ),
  },
  {
    name: 'value',
    label: t('settings.value'),
    cell: ({ value, disagreeing }) => (
      <>
        <Value text={value} />
        {disagreeing.map(({ worker, value: other }) => (
          <p key={worker} class="small">
            <Badge tone="warn">
              <Foreign text={worker} />
            </Badge>{' '}
            <code>
              <Foreign text={other} />
            </code>
          </p>
        ))}
      </>
    ),
  },
  {
    name: 'origin',
    label: t('settings.origin'),
    cell: ({ origin, variable }) =>
      isDefault(origin) ? (
        <span class="faint">{t('settings.default')}</span>
      ) : (
        <Origin origin={origin} variable={variable} />
      ),
  },
];

/** The package's own file has defaults as well. */
function isDefault(origin: string): boolean {
  return origin === 'default' || origin === 'file default.json';
}

const NOT_SET = '(not set)';

/** What is not set has a word for it, or what holds instead. */
function Value({ text }: { readonly text: string }) {
  if (text === '' || text === NOT_SET) return <span class="faint">{t('settings.unset')}</span>;
  return (
    <code class={text.startsWith('(not set') ? 'faint' : undefined}>
      <Foreign text={text} />
    </code>
  );
}

/** A long name breaks before an underscore, not within a word. */
function Breakable({ name }: { readonly name: string }) {
  const [first, ...rest] = name.split('_');
  return (
    <>
      {first}
      {rest.map((part) => [<wbr key={part} />, `_${part}`])}
    </>
  );
}

/** Names stand between backticks. */
function Doc({ text }: { readonly text: string }) {
  return <>{text.split('`').map((part, i) => (i % 2 === 1 ? <code key={part}>{part}</code> : part))}</>;
}

/** The variable's own name stands beside it already. */
function Origin({ origin, variable }: { readonly origin: string; readonly variable: string }) {
  const [kind = '', ...rest] = origin.split(' ');
  const words = { file: t('settings.file'), environment: t('settings.environment') }[kind];
  if (words === undefined) return <Foreign text={origin} />;
  const name = rest.join(' ');
  return (
    <>
      {words} {name !== variable && <Foreign text={name} />}
    </>
  );
}
