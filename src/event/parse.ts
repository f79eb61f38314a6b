import type {
  AccountType,
  EventRules,
  IdentifierType,
  ParsedEntry,
  ProfileField,
  RawEntry,
} from './event.ts';
import { type FieldName, isKnownField } from './field-names.ts';
import { readTally } from './tally.ts';
import { cut, fitsBytes } from './text.ts';
import { readOccurredAtMs, validateUser } from './validate.ts';

/** API reference, account_import, error 40601: a profile value may take 500 bytes. */
export const MAX_PROFILE_BYTES = 500;
const MAX_SHOWN_USER_ID_CHARS = 200;

const traceparentForm = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-|$)/;

/**
 * Reads one stream entry. An empty field counts as absent; of a repeated field the last counts, as a producer
 * that appends a correction means it, except userId: two different ones leave no way to tell whose event it is,
 * so that entry is invalid. Never throws, whatever the entry holds.
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
  // Every event has the same fields in the same order, absent ones undefined: objects of one shape are cheap.
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

/** Non-empty values of the fields we know, and the other fields. */
type Facts = Record<FieldName, string | undefined> & { extra: Readonly<Record<string, string>> | undefined };

interface Collected {
  readonly facts: Readonly<Facts>;
  /** As it came, '' included. */
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
  // Not by assignment: a field may be called __proto__.
  if (others !== undefined) facts.extra = Object.fromEntries(others);
  return { facts, userId: userId ?? '', problems };
}
