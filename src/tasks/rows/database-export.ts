/**
 * Text exports of databases: `mysql --batch` and PostgreSQL's `COPY … TO` (mysql client manual, `--batch`;
 * PostgreSQL, COPY, text format). Cells stand between tabs, and what would disturb that is escaped.
 */

export const DATABASE_FORMATS = ['mysql', 'pg'] as const;
export type DatabaseFormat = (typeof DATABASE_FORMATS)[number];

/** Any other escaped character stands for itself. */
const ESCAPED: Readonly<Record<string, string>> = {
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', 0: '\0' },
};
const NULLS: Readonly<Record<DatabaseFormat, readonly string[]>> = { mysql: ['NULL', '\\N'], pg: ['\\N'] };

/** The value of a cell; '' for NULL. Pure. */
export function exportedCell(cell: string, format: DatabaseFormat): string {
  if (NULLS[format].includes(cell)) return '';
  if (!cell.includes('\\')) return cell;
  return cell.replace(/\\(.)/gs, (_, character: string) => ESCAPED[character] ?? character);
}

/** The line that ends the rows of COPY. Pure. */
export function isEndOfCopy(cells: readonly string[]): boolean {
  return cells.length === 1 && cells[0] === '\\.';
}
