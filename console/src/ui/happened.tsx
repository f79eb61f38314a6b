import { Foreign, When } from './words.tsx';

/** One thing that happened. */
export interface Happening {
  readonly at: number;
  readonly text: string;
  readonly tone?: 'good' | 'bad' | 'warn';
}

/** What happened, the newest first. */
export function Happened({ list }: { readonly list: readonly Happening[] }) {
  const sorted = [...list].sort((a, b) => b.at - a.at);
  return (
    <ol class="history">
      {sorted.map(({ at, text, tone }, i) => (
        <li key={`${at} ${i}`} data-tone={tone}>
          <span>
            <Foreign text={text} />
          </span>
          <span class="small faint">
            <When ms={at} />
          </span>
        </li>
      ))}
    </ol>
  );
}
