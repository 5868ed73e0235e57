/** Passed or failed against the reference that fits; asked for when it is shown, one ride at a time. */

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "./bench";
import { Refusal } from "./connection";
import { t } from "./i18n";
import type { Comparison, Ride } from "./protocol";

type Found = { passed: boolean; reference: number } | "none";

const PAUSE_MS = 120; // the listener takes twenty messages a second
const known = new Map<number, Found>();
/** Another reference, other verdicts. */
const version = signal(0);
let queue: Promise<unknown> = Promise.resolve();

export function forgetVerdicts(): void {
  known.clear();
  version.value += 1;
}

/** A quiet one says nothing where there is no reference. */
export function Verdict({ ride, quiet = false }: { ride: Ride; quiet?: boolean }) {
  const found = useSignal<Found | null>(known.get(ride.number) ?? null);
  useEffect(() => {
    let wanted = true;
    found.value = known.get(ride.number) ?? null;
    if (found.value === null) {
      queue = queue.then(async () => {
        if (!wanted) return;
        found.value = await verdictOf(ride);
      });
    }
    return () => {
      wanted = false;
    };
  }, [ride.number, version.value]);
  if (quiet && (found.value === null || found.value === "none")) return null;
  if (found.value === null) return <span class="hint">…</span>;
  if (found.value === "none") return <span title={t("no_reference_fits")}>–</span>;
  const { passed, reference } = found.value;
  return (
    <a class={passed ? "verdict passed" : "verdict failed"} href={`#/compare/${ride.number}/${reference}`}>
      {passed ? `✔ ${t("passed")}` : `✖ ${t("failed")}`}
    </a>
  );
}

async function verdictOf(ride: Ride): Promise<Found | null> {
  let found: Found | null = null;
  try {
    const { passed, reference } = await ask<Comparison>("compare_ride", { ride: ride.number });
    found = { passed, reference };
  } catch (error) {
    // Anything else, such as a connection that was lost, is no verdict.
    if (error instanceof Refusal && error.code === "no_such_ride") found = "none";
  }
  if (found !== null) known.set(ride.number, found);
  await new Promise((done) => setTimeout(done, PAUSE_MS));
  return found;
}
