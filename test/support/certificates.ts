import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate as files and as PEM texts; `ca` is the private authority of the folder, which signed it. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly ca: string;
}

/** Makes a certificate for names and addresses (`IP:127.0.0.1`), by the authority of the folder, made when it is missing. */
export function certificateFor(folder: string, names: readonly string[]): Certificate {
  const file = (name: string): string => join(folder, name);
  const [first = ''] = names;
  const id = first.replaceAll(/[^\w.-]/g, '-');
  const [caFile, caKey] = [file('ca.pem'), file('ca.key')];
  const [certFile, keyFile, request] = [file(`${id}.pem`), file(`${id}.key`), file(`${id}.csr`)];
  const newKey = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  if (!existsSync(caFile))
    openssl([
      ...newKey,
      '-x509',
      '-days',
      '2',
      '-subj',
      '/CN=test authority',
      '-keyout',
      caKey,
      '-out',
      caFile,
    ]);
  openssl([...newKey, '-subj', `/CN=${id}`, '-keyout', keyFile, '-out', request]);
  const alternatives = names.map((name) => (name.startsWith('IP:') ? name : `DNS:${name}`)).join(',');
  writeFileSync(file('names'), `subjectAltName=${alternatives}\n`);
  const signing = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-extfile', file('names')];
  openssl(['x509', '-req', '-in', request, '-days', '2', ...signing, '-out', certFile]);
  const read = (path: string): string => readFileSync(path, 'utf8');
  return { cert: read(certFile), key: read(keyFile), ca: read(caFile), certFile, keyFile, caFile };
}

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args);
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${String(stderr)}`);
}
