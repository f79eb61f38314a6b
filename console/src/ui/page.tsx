import type { ComponentChildren } from 'preact';

/** A page below its head: what it is, and what one may do there. */
export function Page({
  title,
  intro,
  back,
  actions,
  children,
}: {
  readonly title: string;
  readonly intro?: string;
  /** The way to the list that this is one of. */
  readonly back?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="page">
      <header class="page-head">
        <div>
          {back !== undefined && <p class="small">{back}</p>}
          <h1 tabIndex={-1}>{title}</h1>
          {intro !== undefined && <p>{intro}</p>}
        </div>
        {actions}
      </header>
      {children}
    </div>
  );
}
