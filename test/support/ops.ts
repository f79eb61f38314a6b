import { parseMetrics, type ReadMetrics } from './metrics.ts';
import { type ImsyncProcess, imsync } from './process.ts';
import { TEST_APP } from './simulator.ts';

/** An answer of a worker's ops server. */
export interface OpsAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

/** A running worker with its ops server. */
export interface OpsWorker extends ImsyncProcess {
  readonly opsUrl: string;
  ops(path: string, init?: RequestInit): Promise<OpsAnswer>;
  metrics(): Promise<ReadMetrics>;
}

/** The environment of a worker of TEST_APP. */
export function workerEnv(redisUrl: string, apiUrl: string): Record<string, string> {
  return {
    IMSYNC_REDIS_URL: redisUrl,
    IMSYNC_BASE_URL: apiUrl,
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
  };
}

/** Starts a worker and waits until it runs. */
export async function startOpsWorker(env: Readonly<Record<string, string>>): Promise<OpsWorker> {
  const worker = imsync(['worker'], env);
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  await worker.line('worker started');
  const ops = async (path: string, init: RequestInit = {}): Promise<OpsAnswer> => {
    // No expectation of speed, but an answer that needs longer than this is none.
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(20_000), ...init });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('application/json') === true && text !== '';
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  };
  return {
    ...worker,
    opsUrl: String(url),
    ops,
    metrics: async () => parseMetrics((await ops('/metrics')).text),
  };
}
