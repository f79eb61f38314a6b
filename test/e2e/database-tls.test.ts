import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificate, certificateFor } from '../support/certificates.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { MARIADB_PASSWORD, startMariadb, type TestMariadb } from '../support/mariadb-server.ts';
import { POSTGRES_PASSWORD, startPostgres, type TestPostgres } from '../support/postgres-server.ts';
import { imsyncRun } from '../support/process.ts';

/** Databases that take TLS alone, with a private authority: who is let in, and what the others are told. */

const PASSWORDS = [POSTGRES_PASSWORD, MARIADB_PASSWORD].flatMap((password) => [
  password,
  encodeURIComponent(password),
]);
let folder: string;
let own: Certificate;
let other: Certificate;
let postgres: TestPostgres;
let mariadb: TestMariadb;

async function init(url: string, env: Readonly<Record<string, string>> = {}) {
  const end = await imsyncRun(['relay', 'init', '--apply'], {
    ...{ IMSYNC_SDK_APP_ID: '1', IMSYNC_DATABASE_URL: url },
    ...env,
  });
  const said = end.stdout + end.stderr;
  for (const password of PASSWORDS) expect(said).not.toContain(password);
  return { code: end.code, said };
}

const toName = (url: string): string => url.replace('127.0.0.1', 'localhost');
const asCertified = (url: string): string => url.replace('//app:', '//certified:');
const ofAuthority = ({ caFile }: Certificate) => ({ IMSYNC_DATABASE_CA_FILE: caFile });
const ofClient = ({ certFile, keyFile }: Certificate) => ({
  ...{ IMSYNC_DATABASE_CERT_FILE: certFile, IMSYNC_DATABASE_KEY_FILE: keyFile },
});

describeWithDatabases('TLS to the database', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imsync-tls-'));
    for (const name of ['own', 'other']) mkdirSync(join(folder, name));
    own = certificateFor(join(folder, 'own'), ['localhost']);
    other = certificateFor(join(folder, 'other'), ['localhost']);
    [postgres, mariadb] = await Promise.all([startPostgres([], own), startMariadb(own)]);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([postgres?.stop(), mariadb?.stop()]);
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  const urls = (): readonly string[] => [postgres.url, mariadb.url];

  test('the right authority lets in; a wrong one, or none, is a sentence with its setting', async () => {
    for (const url of urls().map(toName)) {
      // A file of an authority means verify-full.
      expect(await init(url, ofAuthority(own))).toMatchObject({ code: 0 });
      expect(await init(`${url}?sslmode=require`)).toMatchObject({ code: 0 });
      const refused = { code: 3, said: expect.stringMatching(/certificate.*set IMSYNC_DATABASE_CA_FILE/) };
      expect(await init(url, ofAuthority(other))).toEqual(refused);
      // Who names an authority wants it asked, whatever else stands there.
      expect(await init(`${url}?sslmode=require`, ofAuthority(other))).toEqual(refused);
      expect(await init(`${url}?sslmode=verify-ca`)).toEqual(refused);
    }
  }, 120_000);

  test('a plain connection is refused where TLS is required, and a file beside sslmode=disable', async () => {
    for (const url of urls()) {
      expect(await init(url)).toEqual({
        code: 3,
        // MariaDB says no more than that access is denied.
        said: expect.stringMatching(/wants? TLS: .*sslmode=verify-full/),
      });
      expect(await init(`${url}?sslmode=disable`, ofAuthority(own))).toEqual({
        code: 2,
        said: expect.stringContaining('its address says sslmode=disable'),
      });
    }
  }, 120_000);

  test('the name in the certificate counts with verify-full alone', async () => {
    for (const url of urls()) {
      expect(await init(`${url}?sslmode=verify-ca`, ofAuthority(own))).toMatchObject({ code: 0 });
      const { code, said } = await init(`${url}?sslmode=verify-full`, ofAuthority(own));
      expect([code, said]).toEqual([3, expect.stringMatching(/name.*sslmode=verify-ca/)]);
    }
  }, 120_000);

  test('a client certificate opens where one is wanted, and its lack is named', async () => {
    const connection = await postgres.connect();
    await connection.query(`CREATE ROLE certified LOGIN SUPERUSER PASSWORD '${POSTGRES_PASSWORD}'`);
    await connection.end();
    const client = certificateFor(join(folder, 'own'), ['client']);
    const url = toName(asCertified(postgres.url));
    expect(await init(url, { ...ofAuthority(own), ...ofClient(client) })).toMatchObject({ code: 0 });
    expect(await init(url, ofAuthority(own))).toEqual({
      code: 3,
      said: expect.stringContaining('IMSYNC_DATABASE_CERT_FILE and IMSYNC_DATABASE_KEY_FILE'),
    });
    expect(await init(url, { IMSYNC_DATABASE_CERT_FILE: client.certFile })).toEqual({
      code: 2,
      said: expect.stringContaining('belong together'),
    });
  }, 120_000);
});
