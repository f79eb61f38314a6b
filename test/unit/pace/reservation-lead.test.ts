import { createReservationLead } from '../../../src/pace/reservation-lead.ts';

it('is none where Redis is near, and before anything is known', () => {
  const lead = createReservationLead();
  expect(lead.ms).toBe(0);
  lead.saw(Number.NaN);
  for (const delayMs of [0.1, 3.9, 0.2]) lead.saw(delayMs);
  expect(lead.ms).toBe(0);
});

it('is a little more than the slowest reply of late', () => {
  const lead = createReservationLead();
  for (const delayMs of [40, 80, 60]) lead.saw(delayMs);
  expect(lead.ms).toBeGreaterThan(75);
  expect(lead.ms).toBeLessThan(90);
});

it('forgets a stall, and what is no distance any more', () => {
  const lead = createReservationLead();
  lead.saw(60_000);
  expect(lead.ms).toBe(500);
  for (let i = 0; i < 60; i++) lead.saw(1);
  expect(lead.ms).toBe(0);
});
