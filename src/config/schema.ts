import {
  logLevels,
  outcomePolicies,
  profileFaultPolicies,
  type QuotaCommand,
  verdictClasses,
} from './config.ts';
import { connections } from './connections.ts';
import { host, oneOf, orAbsent, share, tokenList, wholeNumber, wordByKey } from './formats.ts';
import {
  type FullConfig,
  filePath,
  type SchemaOf,
  type Setting,
  secret,
  secretFile,
  setting,
} from './setting.ts';

const port = wholeNumber(0, 65_535);
const minuteMs = 60_000;
const dayMs = 86_400_000;

function quotaOf(command: QuotaCommand): Setting<number | null> {
  return setting(
    `IMSYNC_QUOTA_${command.toUpperCase()}_PER_SECOND`,
    orAbsent(wholeNumber(1, 100_000), null),
    null,
    `Calls of ${command} a second, over all processes. Processes that disagree follow the lowest.`,
    { defaultText: 'the documented one of the API form' },
  );
}

/** The convict schema: every setting, its variable, default, meaning and strict format. */
export const schema: SchemaOf<FullConfig> = {
  ...connections,
  batch: {
    maxSize: setting('IMSYNC_BATCH_MAX_SIZE', wholeNumber(1, 100), 100, 'Users in a call at most.'),
    maxWaitMs: setting(
      'IMSYNC_BATCH_MAX_WAIT_MS',
      wholeNumber(0, minuteMs),
      200,
      'How long an event waits at most for others to share its call, in ms from the first event.',
    ),
    eagerShare: setting(
      'IMSYNC_BATCH_EAGER_SHARE',
      share,
      0.2,
      'While less than this share of the quota is in use, events do not wait for others.',
    ),
  },
  quota: {
    perSecond: {
      multiaccount_import: quotaOf('multiaccount_import'),
      account_import: quotaOf('account_import'),
      account_check: quotaOf('account_check'),
      account_delete: quotaOf('account_delete'),
      register_account_v1: quotaOf('register_account_v1'),
    },
    share: setting(
      'IMSYNC_QUOTA_SHARE',
      share,
      1,
      "The share of each quota to use, more than 0; 0.79 stays below the provider's 80 % alert.",
    ),
    margin: setting(
      'IMSYNC_QUOTA_MARGIN',
      share,
      0.01,
      'The part of the quota left unused so that jitter never breaks it, 0.5 at most.',
    ),
  },
  retry: {
    baseMs: setting(
      'IMSYNC_RETRY_BASE_MS',
      wholeNumber(1, 60 * minuteMs),
      1000,
      'The first delay of a retry, in ms; it doubles from there.',
    ),
    maxMs: setting(
      'IMSYNC_RETRY_MAX_MS',
      wholeNumber(1, dayMs),
      minuteMs,
      'The longest delay of a retry, in ms.',
    ),
    maxAgeMs: setting(
      'IMSYNC_RETRY_MAX_AGE_MS',
      wholeNumber(1, 90 * dayMs),
      dayMs,
      'How long an event is tried, in ms, before it becomes a dead letter; held time does not count.',
    ),
  },
  shutdownTimeoutMs: setting(
    'IMSYNC_SHUTDOWN_TIMEOUT_MS',
    wholeNumber(0, 60 * minuteMs),
    15_000,
    'How long a stopping worker waits for calls on the wire, in ms.',
  ),
  onProfileFault: setting(
    'IMSYNC_ON_PROFILE_FAULT',
    oneOf(profileFaultPolicies),
    'import-bare',
    'A refused nick or picture: import the user without it, or only write a dead letter.',
  ),
  ops: {
    host: setting('IMSYNC_OPS_HOST', host, '127.0.0.1', 'Where the ops server listens (the image: 0.0.0.0).'),
    port: setting(
      'IMSYNC_OPS_PORT',
      port,
      9464,
      "The ops server's port; 0 is any free one, named in the log.",
    ),
  },
  intake: {
    host: setting('IMSYNC_INTAKE_HOST', host, '127.0.0.1', 'Where the HTTP intake listens.'),
    port: setting(
      'IMSYNC_INTAKE_PORT',
      orAbsent(port, null),
      null,
      "The HTTP intake's port; 0 is any free one, named in the log.",
      { defaultText: 'no HTTP intake' },
    ),
    tokens: setting('IMSYNC_INTAKE_TOKENS', tokenList, [], 'Bearer tokens the HTTP intake accepts.', secret),
    tokensFile: setting(
      'IMSYNC_INTAKE_TOKENS_FILE',
      filePath,
      '',
      'The file that holds the tokens, one a line.',
      secretFile,
    ),
  },
  outcomes: setting(
    'IMSYNC_OUTCOMES',
    oneOf(outcomePolicies),
    'reply-to',
    'Whose outcome is published: of events with `replyTo`, on their channel; or of all, on a capped stream too.',
  ),
  log: {
    level: setting('IMSYNC_LOG_LEVEL', oneOf(logLevels), 'info', 'The least level that is logged.'),
  },
  verdicts: setting(
    '',
    wordByKey(
      `an object of error codes, each to one of ${verdictClasses.join(', ')}`,
      /^[1-9]\d{0,9}$/,
      verdictClasses,
    ),
    {},
    'What error codes of the API mean, where it differs from the built-in tables.',
  ),
};
