import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, noDelay: true, maxFreeSockets: 256 });

/** A user as the API wants it. */
export interface ApiUser {
  readonly UserID: string;
  readonly Nick: string;
  readonly FaceUrl: string;
}

/**
 * The HTTP call that the peers make: a plain POST over kept connections. Rejects unless the API says that all are
 * imported.
 */
export function importUsers(url: string, users: readonly ApiUser[]): Promise<void> {
  const body = JSON.stringify({ AccountList: users });
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const call = request(url, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => {
        const { ErrorCode, FailAccounts } = JSON.parse(text) as {
          ErrorCode: number;
          FailAccounts?: string[];
        };
        if (ErrorCode === 0 && (FailAccounts ?? []).length === 0) resolve();
        else reject(new Error(`the API answers ${ErrorCode}`));
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}
