/** Rides as files for spreadsheets. */

import { ask, tryTo } from "./bench";
import { curveCsv, samplesCsv } from "./course";
import { fileName, stamp } from "./format";
import type { KeptRide, Ride } from "./protocol";

export function saveCsv({ ride, curve, signals }: KeptRide): void {
  save(new Blob([curveCsv(curve, signals)], { type: "text/csv" }), `${nameOf(ride)}.csv`);
}

export async function saveRawCsv(ride: Ride): Promise<void> {
  const asked = ask<KeptRide>("get_ride", { ride: ride.number, samples: true, curve: false, events: false });
  const kept = await tryTo(asked);
  if (kept === null) return;
  const text = samplesCsv(kept.samples ?? {}, ride.resolution_mm);
  save(new Blob([text], { type: "text/csv" }), `${nameOf(ride)}_frames.csv`);
}

export function nameOf(ride: Ride): string {
  return fileName("ride", ride.number, ride.specimen, stamp(ride.start_ts));
}

export function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Some browsers begin to read only after this turn.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
