import { readScenario } from '../../../../simulator/scenario/scenario.ts';
import { planOf, SENSITIVE_WORD, scenarioOf, type Trouble } from '../../../../src/cli/demo/plan.ts';
import { validateUser } from '../../../../src/event/validate.ts';

const rules = { adminId: 'administrator', form: 'current' } as const;

describe('planOf', () => {
  test.each([1, 2, 10, 500, 20_000])(
    'planOf(%i) plans exactly that many signups, the same every time',
    (signups) => {
      const plan = planOf(signups);
      expect(plan.signups).toHaveLength(signups);
      expect(plan).toEqual(planOf(signups));
    },
  );

  test('20,000 signups arrive over ten seconds, with trouble of every kind', () => {
    const plan = planOf(20_000);
    expect(plan.arrivalMs).toBe(10_000);
    const sizes = Object.entries(plan.trouble).map(([kind, users]) => [kind as Trouble, users.length]);
    expect(Object.fromEntries(sizes)).toEqual({ forbidden: 10, refused: 10, flaky: 20, sensitive: 8 });
    expect(plan.repeats).toBe(200);
    expect(plan.outage.fromMs + plan.outage.lastsMs).toBeLessThan(plan.arrivalMs);
  });

  test('only repeats share a user, and each has another nick', () => {
    const { signups, repeats } = planOf(20_000);
    const nicks = new Map<string, string[]>();
    for (const { userId, nick = '' } of signups)
      nicks.set(userId, [...(nicks.get(userId) ?? []), nick ?? '']);
    const twice = [...nicks.values()].filter(({ length }) => length > 1);
    expect(twice).toHaveLength(repeats);
    expect(twice.filter(([first, ...more]) => more.join() !== `${first} (new)`)).toEqual([]);
  });

  test('the producer would refuse those with a forbidden ID and no other', () => {
    const { signups, trouble } = planOf(20_000);
    const refused = signups.filter((user) => validateUser(user, rules).length > 0);
    expect(refused.map(({ userId }) => userId)).toEqual(trouble.forbidden);
  });

  test('only sensitive nicks contain the sensitive word', () => {
    const { signups, trouble } = planOf(5_000);
    const holding = signups.filter(({ nick }) => nick?.includes(SENSITIVE_WORD));
    expect(holding.map(({ userId }) => userId)).toEqual(trouble.sensitive);
  });

  test('the simulator accepts the scenario', () => {
    const scenario = readScenario(JSON.parse(JSON.stringify(scenarioOf(planOf(1_000)))));
    expect(scenario.rules?.map(({ name }) => name)).toContain('app fault');
  });
});
