import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  readonly name: string;
  readonly label: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly align?: 'right';
  /** Never broken over lines. */
  readonly keep?: boolean;
}

export interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly toneOf?: (row: Row) => 'warn' | undefined;
}

/** On a narrow screen each row becomes a card, and the heads its labels. `caption` is read out, not shown. */
export function Table<Row>({ caption, columns, rows, keyOf, toneOf }: TableProps<Row>) {
  return (
    <table class="table">
      <caption class="unseen">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ name, label, align }) => (
            <th key={name} scope="col" data-align={align}>
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)} data-tone={toneOf?.(row)}>
            {columns.map(({ name, label, cell, align, keep }) => (
              <td key={name} data-label={label} data-align={align} data-keep={keep}>
                <div>{cell(row)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
