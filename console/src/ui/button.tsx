import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './icon.tsx';

export interface ButtonProps {
  readonly children: ComponentChildren;
  readonly kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  readonly icon?: IconName;
  readonly type?: 'button' | 'submit';
  readonly onClick?: () => void;
  readonly disabled?: boolean;
  /** Its act is on the way: a second click does nothing. */
  readonly busy?: boolean;
}

export function Button({
  children,
  kind = 'plain',
  icon,
  type = 'button',
  onClick,
  disabled,
  busy,
}: ButtonProps) {
  return (
    <button
      type={type}
      class="button"
      data-kind={kind}
      disabled={disabled}
      aria-busy={busy}
      onClick={busy === true ? undefined : onClick}
    >
      {icon !== undefined && <Icon name={icon} size={16} />}
      {children}
    </button>
  );
}

/** Looks like a button and leads somewhere. */
export function ButtonLink({
  children,
  href,
  icon,
  download,
}: {
  readonly children: ComponentChildren;
  readonly href: string;
  readonly icon?: IconName;
  readonly download?: boolean;
}) {
  return (
    <a class="button" href={href} download={download}>
      {icon !== undefined && <Icon name={icon} size={16} />}
      {children}
    </a>
  );
}
