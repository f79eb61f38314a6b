import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Resource, readResources } from '../../../scripts/kustomize.js';
import { loadConfig } from '../../../src/config/load.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const kustomize = join(root, 'deploy/kustomize');
const production = join(kustomize, 'overlays/production');

describe('scripts/check-kubernetes.js', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'imsync-kubernetes-'));
    cpSync(kustomize, join(folder, 'deploy/kustomize'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const check = () => {
    const script = join(root, 'scripts/check-kubernetes.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    return { code: status, said: `${stdout}${stderr}` };
  };
  const edit = (file: string, from: string, to: string): void => {
    const path = join(folder, 'deploy/kustomize', file);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
  };

  test('takes what is there', () => {
    expect(check()).toEqual({ code: 0, said: '19 Kubernetes resources fit their schemas\n' });
  });

  const broken: readonly [what: string, file: string, from: string, to: string, said: string][] = [
    ['an unknown field', 'base/deployment.yaml', 'replicas: 2', 'replica: 2', '/spec/replica is no field'],
    [
      'an unknown field deep inside',
      'base/deployment.yaml',
      'readOnlyRootFilesystem',
      'readonlyRootFilesystem',
      '/spec/template/spec/containers/0/securityContext/readonlyRootFilesystem is no field',
    ],
    ['an unknown field at the top', 'base/pod-disruption-budget.yaml', 'spec:', 'spex:', '/spex is no field'],
    [
      'an unknown field of a rule',
      'components/intake/network-policy.yaml',
      'protocol: TCP',
      'proto: TCP',
      '/spec/ingress/1/ports/0/proto is no field',
    ],
    [
      'an unknown field of a PodMonitor',
      'components/pod-monitor/pod-monitor.yaml',
      'interval:',
      'every:',
      '/spec/podMetricsEndpoints/0/every is no field',
    ],
    ['a value of another type', 'base/deployment.yaml', 'replicas: 2', 'replicas: two', '/spec/replicas'],
    ['a number for a text', 'base/config-map.yaml', "'9464'", '9464', '/data/IMSYNC_OPS_PORT'],
    ['a value that is not allowed', 'components/pod-monitor/pod-monitor.yaml', '15s', 'often', '/interval'],
    [
      'a field that is missing',
      'components/intake/service.yaml',
      '      port: 8080\n',
      '',
      'required property port',
    ],
    ['a kind without a schema', 'base/pod-disruption-budget.yaml', 'policy/v1', 'policy/v3', 'no schema'],
    [
      'a file that nothing names',
      'overlays/production/kustomization.yaml',
      '  - ../../components/intake\n',
      '',
      'components/intake/service.yaml: no kustomization names it',
    ],
    [
      'a patch that fits nothing',
      'overlays/production/config-map.yaml',
      'name: imsync',
      'name: other',
      'it fits 0 resources called ConfigMap other',
    ],
    [
      'a step of a patch that cannot be done',
      'overlays/production/deployment.yaml',
      'containers/0',
      'containers/1',
      'cannot be done',
    ],
    [
      'a field of a kustomization that the script does not build',
      'base/kustomization.yaml',
      'resources:',
      'commonLabels: {}\nresources:',
      'does not know commonLabels',
    ],
    [
      'a key that stands twice',
      'base/deployment.yaml',
      'replicas: 2',
      'replicas: 2\n  replicas: 3',
      'unique',
    ],
  ];
  test.each(broken)('refuses %s', (_, file, from, to, said) => {
    edit(file, from, to);
    expect(check()).toEqual({ code: 1, said: expect.stringContaining(said) });
  });
});

const hasKubectl = (process.env.PATH ?? '').split(delimiter).some((one) => existsSync(join(one, 'kubectl')));
const withKubectl = hasKubectl ? test.each : test.skip.each;

withKubectl(['base', 'overlays/production', 'overlays/outbox'])('%s is built as kubectl does', (folder) => {
  const output = execFileSync('kubectl', ['kustomize', join(kustomize, folder)], { encoding: 'utf8' });
  const scratch = mkdtempSync(join(tmpdir(), 'imsync-kubectl-'));
  try {
    writeFileSync(join(scratch, 'all.yaml'), output);
    const byName = (all: Resource[]) =>
      Object.fromEntries(all.map((one) => [`${one.kind} ${one.metadata.name}`, one]));
    expect(byName(build(join(kustomize, folder)))).toEqual(byName(readResources(join(scratch, 'all.yaml'))));
  } finally {
    rmSync(scratch, { recursive: true });
  }
});

describe('the production overlay fits what a worker does', () => {
  const all = build(production);
  const one = (kind: string): Resource => {
    const found = all.filter((resource) => resource.kind === kind);
    if (found.length !== 1 || found[0] === undefined)
      throw new Error(`${found.length} resources are a ${kind}`);
    return found[0];
  };
  const pod = one('Deployment').spec.template;
  const [worker] = pod.spec.containers;
  const { config } = loadConfig({
    env: one('ConfigMap').data,
    readFile: (file) => readFileSync(file, 'utf8'),
  });
  const portsOf = (rules: Resource[]): string[] =>
    rules.flatMap(({ ports }) => ports.map(({ protocol, port }: Resource) => `${protocol} ${port}`)).sort();

  test('its settings are taken by a worker', () => {
    expect(config).toMatchObject({ ops: { port: 9464 }, intake: { host: '0.0.0.0', port: 8080 } });
    // Nobody reaches a server that listens on loopback.
    expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toContain('IMSYNC_OPS_HOST=0.0.0.0');
    expect(worker.envFrom).toEqual([{ configMapRef: { name: one('ConfigMap').metadata.name } }]);
    expect(worker.args).toEqual(['worker']);
  });

  test('ports: those that it listens on are declared and let in, and no other', () => {
    expect(worker.ports).toEqual([
      { name: 'ops', containerPort: config.ops.port },
      { name: 'intake', containerPort: config.intake.port },
    ]);
    const [service] = one('Service').spec.ports;
    expect(service.targetPort).toBe('intake');
    expect(one('PodMonitor').spec.podMetricsEndpoints).toEqual([
      expect.objectContaining({ port: 'ops', path: '/metrics' }),
    ]);
    expect(portsOf(one('NetworkPolicy').spec.ingress)).toEqual([
      `TCP ${config.intake.port}`,
      `TCP ${config.ops.port}`,
    ]);
  });

  test('egress: DNS, Redis and the API, and no other', () => {
    const redisPort = new URL(config.redis.url).port;
    const { spec } = one('NetworkPolicy');
    expect(portsOf(spec.egress)).toEqual(['TCP 443', 'TCP 53', `TCP ${redisPort}`, 'UDP 53']);
    expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
    // Every rule names who is meant: a rule without `to` lets everybody through.
    for (const rule of [...spec.egress, ...spec.ingress])
      expect((rule.to ?? rule.from).length).toBeGreaterThan(0);
  });

  test('every selector finds the pods', () => {
    const selectors = [
      one('Deployment').spec.selector.matchLabels,
      one('Service').spec.selector,
      one('PodDisruptionBudget').spec.selector.matchLabels,
      one('PodMonitor').spec.selector.matchLabels,
      one('NetworkPolicy').spec.podSelector.matchLabels,
      pod.spec.topologySpreadConstraints[0].labelSelector.matchLabels,
    ];
    for (const selector of selectors) expect(pod.metadata.labels).toMatchObject(selector);
    expect(new Set(all.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['imsync']));
  });

  test('the time to stop: SIGTERM may wait, calls on the wire are finished, and some seconds are left', () => {
    const [, waitS = '0'] = worker.lifecycle?.preStop.exec.command ?? [];
    const leastS = Number(waitS) + config.shutdownTimeoutMs / 1_000 + 3;
    expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(leastS);
    // Without the intake there is nothing to wait for.
    const [base] = build(join(kustomize, 'base')).filter(({ kind }) => kind === 'Deployment');
    expect(base?.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
      config.shutdownTimeoutMs / 1_000 + 3,
    );
  });

  test('the files of secrets are mounted, and the example has each', () => {
    const [withOutbox] = build(join(kustomize, 'overlays/outbox')).filter(({ kind }) => kind === 'ConfigMap');
    const files = Object.entries(withOutbox?.data).filter(([name]) => name.endsWith('_FILE'));
    const [mount] = worker.volumeMounts;
    const [volume] = pod.spec.volumes;
    const [secret] = readResources(join(kustomize, 'secret.example.yaml'));
    expect(files.map(([, file]) => file).sort()).toEqual(
      Object.keys(secret?.stringData)
        .map((key) => `${mount.mountPath}/${key}`)
        .sort(),
    );
    expect([volume.name, volume.secret.secretName]).toEqual([mount.name, secret?.metadata.name]);
    expect(volume.secret.defaultMode).toBe(0o440);
  });

  test('the container may do little, and has what docs/sizing.md says', () => {
    expect(pod.spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(worker.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const [, mostMb] =
      /115 to (\d+) MB under a backlog/.exec(readFileSync(join(root, 'docs/sizing.md'), 'utf8')) ?? [];
    expect(Number.parseInt(worker.resources.requests.memory, 10)).toBeGreaterThan(Number(mostMb) * 1.2);
    expect(worker.resources.limits).toEqual({ memory: expect.any(String) });
  });

  test('probes ask the ops server, and are patient', () => {
    expect(worker.livenessProbe).toMatchObject({
      httpGet: { path: '/livez', port: 'ops' },
      timeoutSeconds: 5,
    });
    expect(worker.readinessProbe).toMatchObject({
      httpGet: { path: '/readyz', port: 'ops' },
      timeoutSeconds: 5,
    });
  });
});

describe('the overlay with an outbox', () => {
  const all = build(join(kustomize, 'overlays/outbox'));
  const named = (kind: string, name: string): Resource => {
    const [found] = all.filter((resource) => resource.kind === kind && resource.metadata.name === name);
    if (found === undefined) throw new Error(`no ${kind} is called ${name}`);
    return found;
  };
  const egressOf = (name: string): string[] =>
    named('NetworkPolicy', name)
      .spec.egress.flatMap(({ ports }: Resource) => ports.map(({ port }: Resource) => port))
      .sort();

  test('its settings start a relay in each worker, which may reach the database', () => {
    const { data } = named('ConfigMap', 'imsync');
    const { config } = loadConfig({
      env: data,
      readFile: (file) => (file.startsWith('/run') ? 'postgres://u:p@db/app' : readFileSync(file, 'utf8')),
    });
    expect(config).toMatchObject({
      relay: { inWorker: true },
      database: { urlFile: data.IMSYNC_DATABASE_URL_FILE },
    });
    expect(egressOf('imsync-worker')).toEqual([443, 53, 53, 5432, 6379]);
  });

  test('reconcile is one process, as strict as a worker, that reaches the same and is reached by nobody', () => {
    const { spec } = named('Deployment', 'imsync-reconcile');
    const worker = named('Deployment', 'imsync-worker').spec.template.spec;
    expect([spec.replicas, spec.strategy.type]).toEqual([1, 'Recreate']);
    const { securityContext, volumes, containers } = spec.template.spec;
    expect({ securityContext, volumes }).toEqual({
      securityContext: worker.securityContext,
      volumes: worker.volumes,
    });
    const [{ image, args, securityContext: own, volumeMounts, envFrom }] = containers;
    const [its] = worker.containers;
    expect({ image, own, volumeMounts, envFrom }).toEqual({
      ...{ image: its.image, own: its.securityContext, volumeMounts: its.volumeMounts, envFrom: its.envFrom },
    });
    expect(args.slice(0, 1)).toEqual(['reconcile']);
    expect(egressOf('imsync-reconcile')).toEqual(egressOf('imsync-worker'));
    expect(named('NetworkPolicy', 'imsync-reconcile').spec).toMatchObject({
      podSelector: { matchLabels: spec.template.metadata.labels },
      policyTypes: ['Ingress', 'Egress'],
    });
    expect(named('NetworkPolicy', 'imsync-reconcile').spec.ingress).toBeUndefined();
  });
});
