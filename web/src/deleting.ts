/** Deleting with a way back: the listener is told when nobody has changed his mind for some seconds. */

import { signal } from "@preact/signals";
import { ask, ridesChanged, tryTo } from "./bench";
import { t } from "./i18n";
import type { Ride } from "./protocol";
import { tell, UNDO_MS } from "./toast";

/** Not shown any more, and not deleted yet. Who closes the page meanwhile has deleted nothing. */
export const goingAway = signal<ReadonlySet<number>>(new Set());

export function deleteSoon(ride: Ride): void {
  goingAway.value = new Set([...goingAway.value, ride.number]);
  const timer = setTimeout(() => void deleteNow(ride), UNDO_MS);
  const close = tell(t("ride_deleted", { number: String(ride.number) }), {
    ms: UNDO_MS,
    undo: () => {
      clearTimeout(timer);
      stay(ride);
      close();
    },
  });
}

async function deleteNow(ride: Ride): Promise<void> {
  await tryTo(ask("delete_ride", { ride: ride.number }));
  ridesChanged.value += 1;
  // The list is read anew first; what could not be deleted is there again.
  setTimeout(() => stay(ride), 1000);
}

function stay(ride: Ride): void {
  goingAway.value = new Set([...goingAway.value].filter((number) => number !== ride.number));
}
