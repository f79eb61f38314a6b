import type { DeliveryReport } from './delivery-report.ts';

/**
 * Tells several reports the same. One that throws is a fault of its own and must not break the delivery of a call
 * that is on its way: `onTrouble` hears of it.
 */
export function allOf(reports: readonly DeliveryReport[], onTrouble: (error: Error) => void): DeliveryReport {
  const each = (tell: (report: DeliveryReport) => void): void => {
    for (const report of reports) {
      try {
        tell(report);
      } catch (error) {
        onTrouble(error as Error);
      }
    }
  };
  return {
    called: (...told) => each((report) => report.called(...told)),
    gaveUp: (...told) => each((report) => report.gaveUp(...told)),
    settled: (...told) => each((report) => report.settled(...told)),
    throttled: (...told) => each((report) => report.throttled(...told)),
    foreign: (...told) => each((report) => report.foreign(...told)),
  };
}
