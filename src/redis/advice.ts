/** Tells what to do about a Redis that cannot be used, from the text of the error. Pure. */
export function redisAdvice(reason: string): string {
  return (
    ADVICE.find(([words]) => words.test(reason))?.[1] ?? 'Check IMSYNC_REDIS_URL, and that Redis runs there.'
  );
}

const ADVICE: readonly (readonly [words: RegExp, todo: string])[] = [
  // The error itself says what to do (database.ts).
  [/database \S+ cannot be used/, 'The number stands at the end of IMSYNC_REDIS_URL.'],
  [
    /WRONGPASS|NOAUTH|\bAUTH\b|invalid password/,
    'Check IMSYNC_REDIS_PASSWORD (or its _FILE), and the user in IMSYNC_REDIS_URL.',
  ],
  [/NOPERM|no permissions/i, 'Give the Redis user the rights that docs/security.md lists.'],
  [/certificate has expired|not yet valid/, "Renew Redis's certificate, and check this machine's clock."],
  [
    /altnames|does not match/,
    "Redis's certificate is for another name: use that name in IMSYNC_REDIS_URL, or issue one for this address.",
  ],
  [
    /certificate|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO/,
    "The authority that signed Redis's certificate is not known here: set IMSYNC_REDIS_CA_FILE to its certificate.",
  ],
  [
    /no answer|connection was closed|Connection is closed/,
    'Check IMSYNC_REDIS_URL, and that Redis runs there; a port with TLS wants rediss://, one without it redis://.',
  ],
  [
    /wrong version number|packet length too long|SSL|EPROTO/,
    'There is no TLS at this port: use redis:// instead of rediss://, or the port that speaks TLS.',
  ],
  [
    /sentinels? (are|is) unreachable|All sentinels/i,
    'Check IMSYNC_REDIS_NODES (the sentinels) and IMSYNC_REDIS_SENTINEL_NAME.',
  ],
  [
    /slots cache|startup nodes/,
    'Check IMSYNC_REDIS_NODES, and that the cluster is up. A single server wants IMSYNC_REDIS_MODE=standalone.',
  ],
];
