import type {
  AccountType,
  EventRules,
  IdentifierType,
  ParsedEntry,
  ProfileField,
  RawEntry,
} from './event.ts';
import { isKnownField } from './field-names.ts';
import { readTally } from './tally.ts';
import { byteLength, cut } from './text.ts';
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
export function parseEntry(entry: RawEntry, rules: EventRules): ParsedEntry {
  const { values, problems } = collect(entry.fields);
  const known = Object.fromEntries([...values].filter(([name, value]) => isKnownField(name) && value !== ''));
  const extra = Object.fromEntries([...values].filter(([name]) => !isKnownField(name)));
  problems.push(...validateUser({ ...known, extra }, rules));
  if (problems.length > 0) {
    const userId = cut(values.get('userId') ?? '', MAX_SHOWN_USER_ID_CHARS);
    return { ok: false, eventId: entry.eventId, userId, problems };
  }

  const {
    userId = '',
    nick,
    faceUrl,
    type,
    occurredAt,
    replyTo,
    traceparent,
    tally,
    identifierType,
    password,
  } = known;
  const occurredAtMs = occurredAt === undefined ? undefined : readOccurredAtMs(occurredAt);
  const tooLong: ProfileField[] = [];
  if (nick !== undefined && byteLength(nick) > MAX_PROFILE_BYTES) tooLong.push('nick');
  if (faceUrl !== undefined && byteLength(faceUrl) > MAX_PROFILE_BYTES) tooLong.push('faceUrl');
  return {
    ok: true,
    eventId: entry.eventId,
    event: {
      userId,
      ...(nick !== undefined && { nick }),
      ...(faceUrl !== undefined && { faceUrl }),
      type: Number(type ?? 0) as AccountType,
      ...(occurredAtMs !== undefined && { occurredAtMs }),
      ...(replyTo !== undefined && { replyTo }),
      ...(traceparent !== undefined && traceparentForm.test(traceparent) && { traceparent }),
      ...(readTally(tally) !== undefined && { tally }),
      ...(identifierType !== undefined && { identifierType: Number(identifierType) as IdentifierType }),
      ...(password !== undefined && { password }),
      extra,
    },
    tooLong,
  };
}

function collect(fields: readonly string[]): { values: Map<string, string>; problems: string[] } {
  const values = new Map<string, string>();
  const problems: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    const earlier = values.get(name);
    if (name === 'userId' && earlier !== undefined && earlier !== value) {
      problems.push('userId is given twice, with different values');
    }
    values.set(name, value);
  }
  if (fields.length % 2 === 1) problems.push('the entry has a field without a value');
  return { values, problems };
}
