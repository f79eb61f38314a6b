import { redisAdvice } from '../../../src/redis/advice.ts';

/** Errors as Node, ioredis and Redis word them. */
it.each([
  ['WRONGPASS invalid username-password pair or user is disabled.', 'IMSYNC_REDIS_PASSWORD'],
  ['NOAUTH Authentication required.', 'IMSYNC_REDIS_PASSWORD'],
  [
    'ERR AUTH <password> called without any password configured for the default user.',
    'IMSYNC_REDIS_PASSWORD',
  ],
  ['ERR invalid password', 'IMSYNC_REDIS_PASSWORD'],
  ["NOPERM this user has no permissions to run the 'info' command", 'docs/security.md'],
  [
    'database 3 cannot be used, Redis says "NOPERM this user has no permissions"; give its user the right +select',
    'The number stands at the end of IMSYNC_REDIS_URL.',
  ],
  ['The user executing the script has no permissions to access one of the keys', 'docs/security.md'],
  ['certificate has expired', "Renew Redis's certificate"],
  ['certificate is not yet valid', "Renew Redis's certificate"],
  ["Hostname/IP does not match certificate's altnames: Host: h. is not in the cert", 'another name'],
  ['self-signed certificate in certificate chain', 'IMSYNC_REDIS_CA_FILE'],
  ['unable to verify the first certificate', 'IMSYNC_REDIS_CA_FILE'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'IMSYNC_REDIS_CA_FILE'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'IMSYNC_REDIS_CA_FILE'],
  ['no answer', 'a port with TLS wants rediss://'],
  ['Connection is closed.', 'a port with TLS wants rediss://'],
  ['the connection was closed', 'a port with TLS wants rediss://'],
  ['write EPROTO 0:error:0A00010B:SSL routines::wrong version number', 'There is no TLS at this port'],
  ['packet length too long', 'There is no TLS at this port'],
  ['All sentinels are unreachable. Retrying from scratch after 10ms.', 'IMSYNC_REDIS_SENTINEL_NAME'],
  ['Failed to refresh slots cache.', 'IMSYNC_REDIS_NODES, and that the cluster is up'],
  ['None of startup nodes is available', 'IMSYNC_REDIS_NODES, and that the cluster is up'],
  ['connect ECONNREFUSED 127.0.0.1:6379', 'Check IMSYNC_REDIS_URL, and that Redis runs there.'],
  ['getaddrinfo ENOTFOUND redis.internal', 'Check IMSYNC_REDIS_URL, and that Redis runs there.'],
])('%s', (reason, todo) => {
  expect(redisAdvice(reason)).toContain(todo);
});
