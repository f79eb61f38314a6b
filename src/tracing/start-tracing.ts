import { createRequire } from 'node:module';
import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import type { BatchSpanProcessor, SpanExporter } from '@opentelemetry/sdk-trace-node';
import type { Logger } from 'pino';
import { ConfigError } from '../config/config.ts';

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

const textOf = (env: Environment, name: string): string => env[name]?.trim() ?? '';

/** Off without a variable that asks for traces, as design.md has it: `otlp` is no default here. */
export function wantsTraces(env: Environment): boolean {
  if (textOf(env, 'OTEL_SDK_DISABLED').toLowerCase() === 'true') return false;
  const exporters = exportersOf(env);
  if (exporters.length > 0) return !exporters.includes('none');
  return ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].some(
    (name) => textOf(env, name) !== '',
  );
}

/** Sentences about variables that name something which this worker cannot do. */
export function tracingProblems(env: Environment): string[] {
  if (!wantsTraces(env)) return [];
  const problems = exportersOf(env)
    .filter((name) => !EXPORTERS.includes(name))
    .map(
      (name) => `OTEL_TRACES_EXPORTER names ${JSON.stringify(name)}. Write otlp, console or none, or a list.`,
    );
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
  diag.setLogger(diagnosticsIn(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
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
  };
  const detected = resources.detectResources({
    // Not the process: its command line is nobody else's affair.
    detectors: [resources.envDetector, resources.hostDetector],
  });
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

/** The SDK's own words go to the log: each text once a minute, since it repeats itself at every export. */
function diagnosticsIn(log: Logger): DiagLogger {
  const saidAtMs = new Map<string, number>();
  const say = (level: 'error' | 'warn') => (message: string) => {
    const nowMs = performance.now();
    if (nowMs - (saidAtMs.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    if (saidAtMs.size >= 100) saidAtMs.clear();
    saidAtMs.set(message, nowMs);
    log[level](
      { tracing: message.slice(0, 500) },
      'traces are not sent as they should be; nothing else suffers',
    );
  };
  const nothing = (): void => undefined;
  return { error: say('error'), warn: say('warn'), info: nothing, debug: nothing, verbose: nothing };
}
