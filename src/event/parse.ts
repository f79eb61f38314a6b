import {
  type AccountType,
  type EventRules,
  type FieldName,
  type IdentifierType,
  isKnownField,
  type ParsedEntry,
  type ProfileField,
  type RawEntry,
  readTally,
} from './event.ts';
import { readOccurredAtMs } from './instant.ts';
import { cut, fitsBytes } from './text.ts';
import { validateUser } from './validate.ts';

/** Most bytes of a profile value (API reference, account_import, error 40601). */
export const MAX_PROFILE_BYTES = 500;
const MAX_SHOWN_USER_ID_CHARS = 200;

const traceparentForm = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-|$)/;

/**
 * Reads one stream entry. An empty field counts as absent. The last value of a repeated field wins, since a
 * producer may append a correction. Two different userIds make the entry invalid, since they do not tell
 * whose event it is. Never throws.
 */
export function parseEntry({ eventId, fields }: RawEntry, rules: EventRules): ParsedEntry {
  const { facts, userId, problems } = collect(fields);
  const wrong = validateUser(facts, rules);
  if (problems.length + wrong.length > 0) {
    return {
      ok: false,
      eventId,
      userId: cut(userId, MAX_SHOWN_USER_ID_CHARS),
      problems: [...problems, ...wrong],
    };
  }
  const { nick, faceUrl, type, occurredAt, traceparent, tally, identifierType } = facts;
  const tooLong: ProfileField[] = [];
  if (nick !== undefined && !fitsBytes(nick, MAX_PROFILE_BYTES)) tooLong.push('nick');
  if (faceUrl !== undefined && !fitsBytes(faceUrl, MAX_PROFILE_BYTES)) tooLong.push('faceUrl');
  // All fields are set, absent ones to undefined: V8 handles objects of one shape cheaply.
  return {
    ok: true,
    eventId,
    event: {
      userId,
      nick,
      faceUrl,
      type: Number(type ?? 0) as AccountType,
      occurredAtMs: occurredAt === undefined ? undefined : readOccurredAtMs(occurredAt),
      replyTo: facts.replyTo,
      traceparent: traceparent !== undefined && traceparentForm.test(traceparent) ? traceparent : undefined,
      tally: readTally(tally) === undefined ? undefined : tally,
      identifierType: identifierType === undefined ? undefined : (Number(identifierType) as IdentifierType),
      password: facts.password,
      extra: facts.extra ?? NO_EXTRA,
    },
    tooLong,
  };
}

/** The non-empty values of the known fields, and the other fields. */
type Facts = Record<FieldName, string | undefined> & { extra: Readonly<Record<string, string>> | undefined };

interface Collected {
  readonly facts: Readonly<Facts>;
  /** The given user ID; '' if there was none. */
  readonly userId: string;
  readonly problems: readonly string[];
}

const NO_EXTRA: Readonly<Record<string, string>> = Object.freeze({});

function collect(fields: readonly string[]): Collected {
  const facts: Facts = {
    userId: undefined,
    nick: undefined,
    faceUrl: undefined,
    type: undefined,
    occurredAt: undefined,
    replyTo: undefined,
    traceparent: undefined,
    tally: undefined,
    identifierType: undefined,
    password: undefined,
    extra: undefined,
  };
  let others: [string, string][] | undefined;
  let userId: string | undefined;
  const problems: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    if (!isKnownField(name)) {
      others ??= [];
      others.push([name, value]);
      continue;
    }
    if (name === 'userId') {
      if (userId !== undefined && userId !== value) {
        problems.push('userId is given twice, with different values');
      }
      userId = value;
    }
    facts[name] = value === '' ? undefined : value;
  }
  if (fields.length % 2 === 1) problems.push('the entry has a field without a value');
  // fromEntries and not an assignment, since a field may be called __proto__.
  if (others !== undefined) facts.extra = Object.fromEntries(others);
  return { facts, userId: userId ?? '', problems };
}
