import { UnreadableRowsError } from './read-text.ts';

/** Formats that are neither CSV nor NDJSON, by their first bytes, and what makes a readable file of each. */
const FORMATS: readonly (readonly [magic: string, name: string, todo: string])[] = [
  ['BZh', 'compressed by bzip2', 'Unpack it first: bzcat FILE | imsync import -'],
  ['\xfd7zXZ\0', 'compressed by xz', 'Unpack it first: xzcat FILE | imsync import -'],
  ['\x28\xb5\x2f\xfd', 'compressed by zstd', 'Unpack it first: zstdcat FILE | imsync import -'],
  ['7z\xbc\xaf\x27\x1c', 'a 7z archive', 'Unpack it first, and import the file in it'],
  ['PAR1', 'a Parquet file', "Convert it: duckdb -c \"COPY 'FILE' TO 'users.csv'\""],
  ['Obj\x01', 'an Avro file', 'Convert it to NDJSON: avro-tools tojson FILE'],
  ['ORC', 'an ORC file', 'Export it as CSV or NDJSON'],
  ['\xd0\xcf\x11\xe0', 'an old Excel workbook (.xls)', 'Save it as CSV UTF-8, with the IDs as text'],
  [
    'PGDMP',
    'a dump of pg_dump',
    'Export the table: psql -c "COPY users TO STDOUT WITH (FORMAT csv, HEADER)"',
  ],
  ['SQLite format 3\0', 'an SQLite database', "Export the table: sqlite3 -csv -header FILE 'SELECT …'"],
  ['%PDF-', 'a PDF document', 'Export the table as CSV'],
];
/** The same for texts, whose first characters may have any case. */
const TEXTS: readonly (readonly [pattern: RegExp, name: string, todo: string])[] = [
  [/^<(?:!doctype|html|table)\b/i, 'an HTML page', 'Open it in a spreadsheet, and save it as CSV UTF-8'],
  [/^<\?xml\b/i, 'an XML document', 'Export the table as CSV or NDJSON'],
  [
    /^(?:--|\/\*).*\b(?:dump|SQL)\b|^(?:CREATE|INSERT|DROP)\s+(?:TABLE|INTO)\b/i,
    'a script of SQL statements',
    'Export the table: --query, mysql -B or psql -c "COPY …" (see --help)',
  ],
  [/^\{\\rtf/, 'an RTF document', 'Export the table as CSV'],
];
const TAR_AT = 257;

/** Throws UnreadableRowsError, with the name of the format, for a file that is no text. `name`: the file's. */
export function refuseForeignFormat(head: Buffer, name: string): void {
  const refuse = (what: string, todo: string): never => {
    throw new UnreadableRowsError(`${name} is ${what}, not CSV or NDJSON. ${todo}.`);
  };
  const begin = head.toString('latin1', 0, 4_096);
  if (begin.startsWith('PK\x03\x04')) {
    if (/\[Content_Types\]\.xml|xl\//.test(begin))
      refuse('an Excel workbook (.xlsx)', 'Save it as CSV UTF-8, with the IDs as text');
    if (begin.includes('opendocument.spreadsheet'))
      refuse('an OpenDocument spreadsheet (.ods)', 'Save it as CSV in UTF-8, with the IDs as text');
    refuse('a ZIP archive', 'Unpack it first: unzip -p FILE | imsync import -');
  }
  if (begin.startsWith('ustar', TAR_AT))
    refuse('a tar archive', 'Unpack it first: tar -xOf FILE | imsync import -');
  if (begin.startsWith('PK\x05\x06')) refuse('an empty ZIP archive', 'Fetch the file again');
  const text = begin.replace(/^\xef\xbb\xbf/, '').trimStart();
  const found =
    FORMATS.find(([magic]) => begin.startsWith(magic)) ?? TEXTS.find(([pattern]) => pattern.test(text));
  if (found !== undefined) refuse(found[1], found[2]);
}
