import { apiForms, redisModes, regionNames } from './config.ts';
import { bool, hostPortList, matching, oneOf, orAbsent, wholeNumber } from './formats.ts';
import { type FullConfig, filePath, type SchemaOf, secret, secretFile, setting } from './setting.ts';
import { httpUrl, redisUrl } from './urls.ts';

const credential = orAbsent(matching('printable ASCII characters without blanks', /^[!-~]+$/), '');
const password = orAbsent(matching('a text of one line', /^[^\0\r\n]+$/), '');

/** Whom we speak to, and as whom. */
export const connections: SchemaOf<Pick<FullConfig, 'redis' | 'app' | 'credentials' | 'api'>> = {
  redis: {
    url: setting(
      'IMSYNC_REDIS_URL',
      redisUrl,
      'redis://127.0.0.1:6379',
      'Where Redis is; rediss:// for TLS. A number at its end (/3) is the database: that one or none; a cluster has only 0.',
      {
        hidden: 'address',
      },
    ),
    mode: setting('IMSYNC_REDIS_MODE', oneOf(redisModes), 'standalone', 'How Redis is run.'),
    nodes: setting(
      'IMSYNC_REDIS_NODES',
      hostPortList,
      [],
      'Nodes of the cluster to start from, or the sentinels.',
      { hidden: 'address' },
    ),
    sentinelName: setting(
      'IMSYNC_REDIS_SENTINEL_NAME',
      orAbsent(matching('a name of printable ASCII characters without blanks', /^[!-~]+$/), ''),
      '',
      'The name the sentinels know the primary by.',
    ),
    password: setting('IMSYNC_REDIS_PASSWORD', password, '', "Redis's password.", secret),
    passwordFile: setting(
      'IMSYNC_REDIS_PASSWORD_FILE',
      filePath,
      '',
      "The file that holds Redis's password.",
      secretFile,
    ),
    caFile: setting('IMSYNC_REDIS_CA_FILE', filePath, '', "The CA certificate (PEM) that signed Redis's."),
    allowVolatile: setting(
      'IMSYNC_REDIS_ALLOW_VOLATILE',
      bool,
      false,
      'Accept a Redis that may lose events: AOF off, or an eviction policy. For trying things out.',
    ),
  },
  app: {
    sdkAppId: setting(
      'IMSYNC_SDK_APP_ID',
      orAbsent(wholeNumber(1, Number.MAX_SAFE_INTEGER), 0),
      0,
      "The app's SDKAppID.",
      { defaultText: 'must be given' },
    ),
    adminId: setting(
      'IMSYNC_ADMIN_ID',
      matching('1 to 32 printable ASCII characters without blanks', /^[!-~]{1,32}$/),
      'administrator',
      "The app's admin, whose UserSig signs the calls.",
    ),
  },
  credentials: {
    secretKey: setting(
      'IMSYNC_SDK_SECRET_KEY',
      credential,
      '',
      "The app's key, which signs UserSigs. Either this or a UserSig.",
      secret,
    ),
    secretKeyFile: setting(
      'IMSYNC_SDK_SECRET_KEY_FILE',
      filePath,
      '',
      "The file that holds the app's key.",
      secretFile,
    ),
    userSig: setting('IMSYNC_USER_SIG', credential, '', "The admin's UserSig, made elsewhere.", secret),
    userSigFile: setting(
      'IMSYNC_USER_SIG_FILE',
      filePath,
      '',
      'The file that holds the UserSig; read again before each probe.',
      secretFile,
    ),
  },
  api: {
    form: setting(
      'IMSYNC_API',
      oneOf(apiForms),
      'current',
      'The form of the calls: `current` (AccountList, UserID), `legacy` (Accounts, Identifier; the only one that makes robots) or `hosted` (register_account_v1).',
    ),
    region: setting(
      'IMSYNC_REGION',
      oneOf(regionNames),
      'china',
      "The app's home, which names the API's host.",
    ),
    baseUrl: setting(
      'IMSYNC_BASE_URL',
      orAbsent(httpUrl, ''),
      '',
      'Where the API is, instead of the host of the region.',
      { hidden: 'address', defaultText: 'by region' },
    ),
    callTimeoutMs: setting(
      'IMSYNC_CALL_TIMEOUT_MS',
      wholeNumber(1, 600_000),
      8000,
      "How long a call may take, in ms; the API's own time-out is 3 s, so it must be longer.",
    ),
  },
};
