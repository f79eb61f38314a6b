import type { ComponentChildren } from 'preact';
import { t } from '../i18n/language.ts';
import { Icon, type IconName } from './icon.tsx';

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'plain';

export function Badge({
  tone = 'plain',
  children,
}: {
  readonly tone?: Tone;
  readonly children: ComponentChildren;
}) {
  return (
    <span class="badge" data-tone={tone}>
      {children}
    </span>
  );
}

const ICONS: Readonly<Record<Tone, IconName>> = {
  good: 'good',
  warn: 'warn',
  bad: 'bad',
  accent: 'activity',
  plain: 'activity',
};

/** Something that one must know here. `live`: it is read out when it appears. */
export function Callout({
  tone,
  icon = ICONS[tone],
  children,
  live = false,
}: {
  readonly tone: Tone;
  readonly icon?: IconName;
  readonly children: ComponentChildren;
  readonly live?: boolean;
}) {
  return (
    <div class="callout" data-tone={tone} role={live ? 'alert' : undefined}>
      <Icon name={icon} size={20} />
      <div class="callout-body">{children}</div>
    </div>
  );
}

/** A list that holds nothing: said as news, good or not, with what one may do. */
export function Empty({
  icon = 'good',
  title,
  children,
}: {
  readonly icon?: IconName;
  readonly title: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <strong>{title}</strong>
      {children !== undefined && <p>{children}</p>}
    </div>
  );
}

/** Before the first answer. */
export function Loading({ lines = 4, tall = false }: { readonly lines?: number; readonly tall?: boolean }) {
  return (
    <div class="callout-body" role="status">
      <span class="unseen">{t('state.loading')}</span>
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} class="bone" data-size={tall ? 'tall' : undefined} />
      ))}
    </div>
  );
}
