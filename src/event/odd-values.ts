/**
 * Values that programs and spreadsheets leave behind where a user ID or a nick should stand. This is the one
 * place that judges them, for every way in.
 *
 * It runs for each event. So it compares characters first, and no pattern here looks back.
 */

/** What an odd user ID looks like. These names are values of IMSYNC_ALLOW_ODD_IDS. */
export const ODD_ID_KINDS = [
  'word',
  'template',
  'separators',
  'apostrophe',
  'serialized',
  'rounded',
  'decimals',
] as const;
export type OddIdKind = (typeof ODD_ID_KINDS)[number];

/** IMSYNC_ALLOW_ODD_IDS may name all kinds at once. */
export const ALL_ODD_IDS = 'all';

/** A user ID that looks like something else. */
export interface OddId {
  readonly kind: OddIdKind;
  /** True: no app uses it as an ID, so it is refused. False: it is doubtful, and imported. */
  readonly isCertain: boolean;
  /** A sentence for the sender. It quotes words of the lists only: user IDs stay out of messages. */
  readonly text: string;
}

/** Words for "no value", and the name of the field itself: no app uses them as an ID. */
export const JUNK_WORDS = [
  ...['NULL', 'null', '(null)', '<null>', '\\N', 'None', 'nil', '(nil)', '<nil>', 'undefined', 'NaN'],
  ...['#N/A', '#NULL!', '#NAME?', '#VALUE!', '#REF!', '#NUM!', '#DIV/0!', '#ERROR!'],
  ...['#SPILL!', '#CALC!', '#FIELD!', '#BLOCKED!', '#UNKNOWN!', '#CONNECT!', '#BUSY!'],
  ...['[object Object]', '[]', '{}'],
  ...['userId', '%s', '%d'],
] as const;

/** A user may be called so. Many at once are a mistake of a program. */
const DOUBTFUL_WORDS = [
  ...['Null', 'none', 'NONE', 'Nil', 'NIL', 'nan', 'NAN', 'Undefined', 'UNDEFINED', 'N/A', 'n/a'],
  ...['true', 'false', 'True', 'False', 'TRUE', 'FALSE', '0', '-1', '00000000000000000000000000000000'],
  ...['user_id', 'userid', 'uid', 'id', 'UserId', 'Array', 'Infinity', '-Infinity', '-', '--', '(none)'],
  ...['NULL,', 'null,', 'None,', '%!s(<nil>)', '%!d(<nil>)', '%v', '%@', 'NA', 'NaT', 'DBNull', 'nullptr'],
  ...['USER_ID', 'USERID', 'UID', 'ID', 'user-id', '#NV', '#WERT!', '#BEZUG!', '#ZAHL!', '#VALEUR!', '#NOM?'],
  // What `user_${id}` becomes without an ID.
  ...['user', 'u', 'uid', 'id', 'account', 'member'].flatMap((name) =>
    [':', '_', '-'].flatMap((mark) =>
      ['null', 'undefined', 'None', 'nil', 'NaN', 'NULL'].map((none) => `${name}${mark}${none}`),
    ),
  ),
];

/** Each word, and whether it is certain to be no ID. */
const WORDS: ReadonlyMap<string, boolean> = new Map([
  ...DOUBTFUL_WORDS.map((word) => [word, false] as const),
  ...JUNK_WORDS.map((word) => [word, true] as const),
]);

const IF_MEANT = '; if it is meant, see "Odd IDs" in docs/produce.md';

/** Judges a user ID; undefined for one that looks like an ID. Pure. */
export function oddId(userId: string): OddId | undefined {
  const isCertain = WORDS.get(userId);
  if (isCertain !== undefined) return word(userId, isCertain);
  const first = userId.charCodeAt(0);
  const last = userId.charCodeAt(userId.length - 1);
  if (isPlain(first) && isPlain(last)) {
    if (isDigit(first)) return oddNumber(userId);
    return userId.includes('@') && JAVA_OBJECT.test(userId) ? doubtful('serialized') : undefined;
  }
  const serializer = serializerOf(userId) ?? formulaOrBytes(userId);
  if (serializer !== undefined)
    return certain('serialized', `userId was written by ${serializer}${IF_MEANT}`);
  if (TEMPLATE.test(userId))
    return certain('template', `userId is a text whose placeholder was not filled in${IF_MEANT}`);
  if (/^'\d+$/.test(userId))
    return certain(
      'apostrophe',
      `userId begins with the apostrophe that a spreadsheet puts before digits: leave it out${IF_MEANT}`,
    );
  if (OTHER_TEMPLATE.test(userId)) return doubtful('template');
  if (PRINTED_OBJECT.test(userId)) return doubtful('serialized');
  if (/^(?:"[\w-][^"]*|[^"]*[\w-]")$/.test(userId)) return doubtful('serialized');
  if (isPlain(first) && (last === 0x2c || last === 0x3b)) return doubtful('separators');
  return first === 0x27 ? doubtful('apostrophe') : undefined;
}

/** Names of a field between the marks of a template. */
const FIELD = '(?:(?:user|account|member|im)[._-]?)?(?:u?id|uuid|name)|user|account|nick';
const TEMPLATE = new RegExp(
  `^(?:\\$\\{[\\w. ]+\\}|\\{\\{[\\w. ]+\\}\\}|\\{(?:${FIELD})\\}|<(?:${FIELD})>)$`,
  'i',
);
/** Templates of other languages, and marks around something that may be a name. */
const OTHER_TEMPLATE = new RegExp(
  `^(?:<[\\w-]+>|<%[^%]*%>|\\{\\{\\{[\\w. ]+\\}\\}\\}|[#%]?\\{[\\w. ]+\\}|\\$\\([\\w. ]+\\)|&lt;[\\w-]+&gt;|\\$(?:${FIELD})|%(?:${FIELD})%)$`,
  'i',
);
/** What objects of Java, Swift, Rust and MongoDB look like when they are printed, and lists of one word. */
const JAVA_OBJECT = /^(?:[a-z]\w*\.)+[A-Z][\w$]*@[0-9a-f]{1,8}$/;
const PRINTED_OBJECT =
  /^(?:\[+[A-Z][\w.;$]*@[0-9a-f]{1,8}|(?:Optional|Some|ObjectI[dD]|Just)[( ].+|\[[^[\]]*\])$/;

/** A spreadsheet's formula, and Python's bytes, as texts. */
function formulaOrBytes(text: string): string | undefined {
  if (text.length > 3 && text.startsWith('="') && text.endsWith('"'))
    return 'a spreadsheet, as a formula: send what stands between the quotes';
  if (text.length > 2 && text.startsWith("b'") && text.endsWith("'"))
    return "Python's str() of bytes: decode them, as in value.decode()";
  return undefined;
}

/** `allowed`: exact IDs, kinds, or `all`. */
export function isAllowed(userId: string, { kind, isCertain }: OddId, allowed: readonly string[]): boolean {
  return !isCertain || allowed.some((one) => one === ALL_ODD_IDS || one === kind || one === userId);
}

/** What an odd nick looks like. It is imported all the same: an account is worth more than its profile. */
export const ODD_NICK_KINDS = ['word', 'serialized', 'control'] as const;
export type OddNickKind = (typeof ODD_NICK_KINDS)[number];

/** Judges a nick; undefined for one that looks like a nick. Pure. */
export function oddNick(nick: string): OddNickKind | undefined {
  // Tabs and line breaks are left out: databases hold them in names.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\0-\x08\v\f\x0e-\x1f\x7f-\x9f]/.test(nick)) return 'control';
  if (WORDS.get(nick) === true) return 'word';
  const last = nick.charCodeAt(nick.length - 1);
  const isMarked = last === 0x22 || last === 0x3b || last === 0x7d || last === 0x5d;
  return isMarked && (serializerOf(nick) ?? formulaOrBytes(nick)) !== undefined ? 'serialized' : undefined;
}

function word(userId: string, isCertain: boolean): OddId {
  const text = `userId is ${JSON.stringify(userId)}, which programs write where they have no value: send the user's own ID${IF_MEANT}`;
  return { kind: 'word', isCertain, text };
}

function certain(kind: OddIdKind, text: string): OddId {
  return { kind, isCertain: true, text };
}

/** Somebody may be called so, so it is counted and its text is shown to nobody. */
function doubtful(kind: OddIdKind): OddId {
  return { kind, isCertain: false, text: `userId looks like something else (${kind})` };
}

/**
 * A spreadsheet reads an ID of digits as a number and writes another one: 123456789012 becomes 1.23457E+11,
 * 1234567 becomes 1,234,567 or 1234567.0.
 */
function oddNumber(userId: string): OddId | undefined {
  if (/^\d(?:[.,]\d+)?E\+?\d{1,3}$/i.test(userId) && /[.,+]/.test(userId))
    return certain(
      'rounded',
      `userId is a number that a spreadsheet has rounded: its digits are lost, so send the ID as text${IF_MEANT}`,
    );
  if (/^\d{1,3}(?:,\d{3})+(?:\.\d\d)?$/.test(userId))
    return certain(
      'separators',
      `userId is a number with separators that a program has added: send the digits alone${IF_MEANT}`,
    );
  if (/^\d{1,3}(?:(?:\.\d{3}){2,}|(?:'\d{3})+|(?:,\d\d)+,\d{3})$/.test(userId)) return doubtful('separators');
  if (/^\d+[.,]0+$/.test(userId))
    return {
      kind: 'decimals',
      isCertain: false,
      text: 'userId is a number with decimals that a spreadsheet has added',
    };
  return undefined;
}

/** Names what wrote a text that is a serialized value, and what to set in the client; undefined for a plain text. */
export function serializerOf(text: string): string | undefined {
  const first = text[0];
  const last = text[text.length - 1];
  if (first === '"' && last === '"' && text.length > 1)
    return 'a JSON serializer, with its quotes: have the client write plain strings (Spring: StringRedisSerializer for keys and values, fields of hashes too)';
  const isList = first === '[' && last === ']' && (text[1] === '"' || text[1] === '{' || text[1] === '[');
  if (isList || (first === '{' && last === '}' && text[1] === '"'))
    return 'a JSON serializer, as a list or an object: send the ID alone, as a plain string';
  if (/^(?:s:\d+:".*";|i:-?\d+;|d:[\d.]+;|b:[01];|N;|[aO]:\d+:.*\})$/s.test(text))
    return "PHP's serialize(): set $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE)";
  if (text.startsWith('\uFFFD\uFFFD\0\x05'))
    return "Java's own serialization: use StringRedisTemplate, or StringRedisSerializer for keys and values, fields of hashes too";
  if (text.startsWith('\0\0\0\x02'))
    return 'igbinary (PHP): set $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE)';
  // Protocols 2 to 5. What is no UTF-8 has become U+FFFD.
  if (text.startsWith('\uFFFD') && '\x02\x03\x04\x05'.includes(text[1] ?? '-') && /^..[\uFFFDXK]/s.test(text))
    return "Python's pickle: hand the client a str";
  if (text.startsWith('\x04\b')) return "Ruby's Marshal: hand the client a String";
  return undefined;
}

function isPlain(code: number): boolean {
  return (
    isDigit(code) ||
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x5f ||
    code === 0x2d
  );
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
