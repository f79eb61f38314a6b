import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import type { BatchSpanProcessor, SpanExporter } from '@opentelemetry/sdk-trace-node';
import type { Logger } from 'pino';
import { ConfigError } from '../config/config.ts';
import { hide, secretsInAddress } from '../config/hide.ts';
import { cut, unprintable } from '../event/text.ts';

/**
 * Starts the OpenTelemetry SDK of a worker. Which variables count, and what they mean, is the SDK's affair
 * (OpenTelemetry specification, "Environment Variable Specification"). This module decides whether there are
 * traces, and loads the packages of the SDK only then.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Tracing {
  /** Sends what is left, for as long as `withinMs`, and ends. Never rejects. */
  close(withinMs: number): Promise<void>;
}

/** Name of the exporter to the package and the class that the SDK has for it. */
const OTLP = {
  'http/protobuf': '@opentelemetry/exporter-trace-otlp-proto',
  'http/json': '@opentelemetry/exporter-trace-otlp-http',
} as const;
const EXPORTERS = ['otlp', 'console', 'none'];
/** The SDK says the same of every export that fails: one a second. */
const REPEAT_MS = 60_000;
/** Different texts in that time, at most. A collector may answer in other words each time. */
const MOST_TEXTS = 10;
const MAX_CHARS = 500;
const MAX_READ_CHARS = 65_536;
const ENDPOINTS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
const HEADERS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'];

const textOf = (env: Environment, name: string): string => env[name]?.trim() ?? '';

/** Off without a variable that asks for traces: `otlp` is no default here, as it is in the specification. */
export function wantsTraces(env: Environment): boolean {
  if (textOf(env, 'OTEL_SDK_DISABLED').toLowerCase() === 'true') return false;
  const exporters = exportersOf(env);
  if (exporters.length > 0) return !exporters.includes('none');
  return ENDPOINTS.some((name) => textOf(env, name) !== '');
}

/** Sentences about variables that name something which this worker cannot do. */
export function tracingProblems(env: Environment): string[] {
  if (!wantsTraces(env)) return [];
  const problems = exportersOf(env)
    .filter((name) => !EXPORTERS.includes(name))
    .map(
      (name) => `OTEL_TRACES_EXPORTER names ${JSON.stringify(name)}. Write otlp, console or none, or a list.`,
    );
  // The SDK would send to its default address instead. The text may hold a token, so it is not repeated.
  for (const name of ENDPOINTS) {
    const endpoint = textOf(env, name);
    if (endpoint !== '' && !(URL.canParse(endpoint) && /^https?:/i.test(endpoint)))
      problems.push(`${name} is no address. Write http:// or https://, such as http://collector:4318.`);
  }
  const protocol = protocolOf(env);
  if (!Object.hasOwn(OTLP, protocol)) {
    problems.push(
      `OTEL_EXPORTER_OTLP_PROTOCOL is ${JSON.stringify(protocol)}. Write http/protobuf or http/json. ` +
        'Collectors listen for both on port 4318; port 4317 is that of grpc, which this worker does not speak.',
    );
  }
  return problems;
}

function exportersOf(env: Environment): string[] {
  return textOf(env, 'OTEL_TRACES_EXPORTER')
    .split(',')
    .flatMap((name) => name.trim().toLowerCase() || []);
}

function protocolOf(env: Environment): string {
  const ofTraces = textOf(env, 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL');
  return ofTraces || textOf(env, 'OTEL_EXPORTER_OTLP_PROTOCOL') || 'http/protobuf';
}

/**
 * Not `import`: it would load the SDK in every worker, or make the start wait. Throws ConfigError if a package
 * is not installed: npm leaves optional ones out when it is told to.
 */
const load = (name: string) => {
  try {
    return createRequire(import.meta.url)(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new ConfigError([
      `OTEL_ variables ask for traces, but the package ${name} is not installed. Install without ` +
        '--omit=optional, or turn traces off with OTEL_SDK_DISABLED=true.',
    ]);
  }
};

export function startTracing(options: {
  readonly env: Environment;
  readonly version: string;
  readonly workerId: string;
  readonly log: Logger;
}): Tracing {
  const { env, version, workerId, log } = options;
  const sdk: typeof import('@opentelemetry/sdk-trace-node') = load('@opentelemetry/sdk-trace-node');
  const resources: typeof import('@opentelemetry/resources') = load('@opentelemetry/resources');
  diag.setLogger(diagnosticsIn(log, secretsIn(env)), {
    logLevel: DiagLogLevel.WARN,
    suppressOverrideMessage: true,
  });
  const names = exportersOf(env);
  const exporters = (names.length > 0 ? names : ['otlp']).map((name): SpanExporter => {
    if (name === 'console') return new sdk.ConsoleSpanExporter();
    const { OTLPTraceExporter } = load(OTLP[protocolOf(env) as keyof typeof OTLP]);
    return new OTLPTraceExporter();
  });
  const own = {
    'service.name': 'im-account-sync',
    'service.version': version,
    'service.instance.id': workerId,
    'host.name': hostname(),
  };
  // Not the SDK's detectors of process and host: command line and machine ID are nobody else's affair.
  const detected = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new sdk.NodeTracerProvider({
    // What the environment names wins over what we call ourselves.
    resource: resources.defaultResource().merge(resources.resourceFromAttributes(own)).merge(detected),
    spanProcessors: exporters.map((exporter): BatchSpanProcessor => new sdk.BatchSpanProcessor(exporter)),
  });
  provider.register();
  log.info({ exporters: names.length > 0 ? names : ['otlp'] }, 'traces are on, as OTEL_ variables say');
  return {
    async close(withinMs) {
      const ended = provider.shutdown().catch((error: unknown) => diag.warn(String(error)));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, withinMs);
      });
      await Promise.race([ended, late]);
      clearTimeout(timer);
    },
  };
}

/** What the SDK or a collector may repeat of the settings and must not stand in the log. */
export function secretsIn(env: Environment): string[] {
  const headers = HEADERS.map((name) => textOf(env, name));
  // The value of each header, and its last word: the token behind `Bearer`.
  const values = headers.flatMap((text) => text.split(',').map((pair) => pair.replace(/^[^=]*=/, '').trim()));
  const tokens = values.map((value) => value.split(/\s|%20/).at(-1) ?? '');
  const addresses = ENDPOINTS.map((name) => textOf(env, name)).filter((address) => address !== '');
  return [...headers, ...values, ...tokens, ...addresses.flatMap(secretsInAddress)];
}

/** The SDK's own words go to the log: each text once a minute, since it repeats itself at every export. */
export function diagnosticsIn(log: Pick<Logger, 'error' | 'warn'>, secrets: readonly string[]): DiagLogger {
  const saidAtMs = new Map<string, number>();
  const say = (level: 'error' | 'warn') => (message: string) => {
    const { words, details } = partsOf(message);
    // Numbers change from one export to the next, such as a port or a count of spans; answers may, too.
    const key = cut(words, MAX_CHARS).replace(/\d+/g, '#');
    const nowMs = performance.now();
    for (const [said, atMs] of saidAtMs) if (nowMs - atMs >= REPEAT_MS) saidAtMs.delete(said);
    if (saidAtMs.has(key) || saidAtMs.size >= MOST_TEXTS) return;
    saidAtMs.set(key, nowMs);
    // Hidden before the last cut: half a token is not found.
    const whole = cut(words + details, MAX_READ_CHARS);
    const tracing = cut(hide(whole, secrets).replace(unprintable, ' '), MAX_CHARS);
    log[level]({ tracing }, 'traces are not sent as they should be; nothing else suffers');
  };
  const nothing = (): void => undefined;
  return { error: say('error'), warn: say('warn'), info: nothing, debug: nothing, verbose: nothing };
}

/** An error comes as JSON, with its stack. `details`: the answer of the collector, which may be megabytes. */
function partsOf(message: string): { readonly words: string; readonly details: string } {
  try {
    const { name = 'Error', message: text = '', code, data } = JSON.parse(message) as Record<string, unknown>;
    const words = `${name}${text === '' ? '' : `: ${text}`}${code === undefined ? '' : ` (${code})`}`;
    return { words, details: data === undefined ? '' : `; the answer: ${data}` };
  } catch {
    return { words: message, details: '' };
  }
}
