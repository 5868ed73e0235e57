/** A ride over its reference: curves, tolerance, and the deviation in numbers. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ask, connected, tryTo } from "./bench";
import { Chart, useZoom } from "./chart";
import { apart, withBand } from "./course";
import { dateTime, directionText, number, signed } from "./format";
import { language, t, word } from "./i18n";
import { savePictureOf } from "./picture";
import type { Look } from "./plot";
import type { Comparison, Deviation, KeptRide, Ride, RideList } from "./protocol";
import { SignalCharts, SignalDeviations, SignalToggles, partsOfBoth, shownSignals } from "./signal_charts";

interface Compared {
  ride: Ride;
  reference: Ride;
  comparison: Comparison;
}

export function Compare({ which, against }: { which: string; against: string | null }) {
  const compared = useSignal<Compared | null>(null);
  const ride = useSignal<Ride | null>(null);
  const references = useSignal<Ride[] | null>(null);
  const zoom = useZoom();

  useEffect(() => {
    compared.value = null;
    if (!connected.value) return;
    void (async () => {
      const list = await ask<RideList>("list_rides", { filter: { reference: true }, limit: 200 }).catch(() => null);
      references.value = list?.rides ?? [];
      const kept = await tryTo(ask<KeptRide>("get_ride", { ride: Number(which), curve: false, events: false }));
      if (kept === null) return;
      ride.value = kept.ride;
      const named = against === null ? {} : { reference: Number(against) };
      const asked = ask<Comparison>("compare_ride", { ride: Number(which), curves: true, ...named });
      // Without a reference that fits there is one to be chosen.
      const comparison = await (against === null ? asked.catch(() => null) : tryTo(asked));
      if (comparison === null) return;
      const other = await tryTo(ask<KeptRide>("get_ride", { ride: comparison.reference, curve: false, events: false }));
      if (other !== null) compared.value = { ride: kept.ride, reference: other.ride, comparison };
    })();
  }, [which, against, connected.value]);

  const choices = (references.value ?? []).filter((each) => each.number !== Number(which));
  return (
    <article class="compare">
      <header>
        <h1>
          <a href={`#/rides/${which}`}>{t("ride_named", { number: which })}</a> {t("against_reference")}
        </h1>
      </header>
      <div class="tools">
        <label>
          {t("reference")}
          <select
            value={compared.value ? String(compared.value.reference.number) : ""}
            onChange={(event) => {
              location.hash = `#/compare/${which}/${event.currentTarget.value}`;
            }}
          >
            {!compared.value && <option value="">–</option>}
            {[...choices, ...extra(compared.value, choices)].map((each) => (
              <option key={each.number} value={String(each.number)}>
                {optionText(each)}
              </option>
            ))}
          </select>
        </label>
        {compared.value && (
          <button type="button" onClick={() => void saveComparison(compared.value!)}>
            PNG
          </button>
        )}
        {compared.value && (
          <button type="button" onClick={() => window.print()}>
            {t("print")}
          </button>
        )}
      </div>
      {compared.value ? (
        <Result compared={compared.value} zoom={zoom} />
      ) : (
        <p class="empty">{references.value === null ? t("loading") : choices.length ? t("choose_reference") : t("no_reference_yet")}</p>
      )}
    </article>
  );
}

/** What is compared with need not be marked as a reference. */
function extra(compared: Compared | null, choices: Ride[]): Ride[] {
  return compared && !choices.some((each) => each.number === compared.reference.number) ? [compared.reference] : [];
}

function optionText(ride: Ride): string {
  const name = ride.specimen || t("no_specimen");
  return `${ride.number} · ${name} · ${directionText(ride.direction)} ${number(ride.distance_mm)} mm · ${dateTime(ride.start_ts)}`;
}

function Result({ compared, zoom }: { compared: Compared; zoom: ReturnType<typeof useZoom> }) {
  const { comparison } = compared;
  const { velocity, position, difference } = useMemo(() => picturesOf(compared), [compared, language.value]);
  const both = comparison.curves?.signals ?? {};
  const names = Object.keys(both);
  const shown = shownSignals(names).join();
  const signals = useMemo(() => signalsOf(compared), [compared, shown, language.value]);
  return (
    <>
      <p class={comparison.passed ? "verdict passed" : "verdict failed"} data-passed={comparison.passed}>
        {comparison.passed ? `✔ ${t("passed")}` : `✖ ${t("failed")}`}
        {reasons(compared).map((reason) => (
          <span key={reason}> · {reason}</span>
        ))}
      </p>
      <div class="stack">
        <Chart look={velocity.look} zoom={zoom} data={velocity.data} />
        <Chart look={position.look} zoom={zoom} data={position.data} />
        <Chart look={difference.look} zoom={zoom} data={difference.data} class="low" />
        <SignalToggles names={names} />
        <SignalCharts parts={signals} zoom={zoom} />
      </div>
      <Deviations comparison={comparison} />
      <SignalDeviations signals={comparison.signals ?? []} />
    </>
  );
}

function namesOf({ ride, reference }: Compared): [string, string] {
  return [
    `${t("ride")} ${ride.number}${ride.specimen ? ` · ${ride.specimen}` : ""}`,
    `${t("reference")} ${reference.number}${reference.specimen ? ` · ${reference.specimen}` : ""}`,
  ];
}

function signalsOf(compared: Compared) {
  const { reference, comparison } = compared;
  const { curves, interval_s } = comparison;
  const count = Math.max(curves?.ride.speed_mm_s.length ?? 0, curves?.reference.speed_mm_s.length ?? 0);
  return partsOfBoth(curves?.signals ?? {}, namesOf(compared), reference.summary.phases, Math.max(0, count - 1) * interval_s);
}

function picturesOf(compared: Compared) {
  const { reference, comparison } = compared;
  const { curves, interval_s, tolerance } = comparison;
  const names = namesOf(compared);
  const look = (title: string, unit: string, leastSpan: number): Look => ({
    title: `${title} ${unit}`,
    xTitle: t("seconds_of_ride"),
    leastSpan,
    band: [1, 2],
    ...(reference.summary.phases ? { phases: reference.summary.phases } : {}),
    lines: [
      { label: t("tolerance"), color: "--curve-2", unit, edge: true },
      { label: t("tolerance"), color: "--curve-2", unit, edge: true },
      { label: names[1], color: "--curve-2", unit, digits: 1, dash: [8, 5] },
      { label: names[0], color: "--curve-1", unit, digits: 1 },
    ],
  });
  const empty = { distance_mm: [], speed_mm_s: [] };
  const { ride: ours, reference: theirs } = curves ?? { ride: empty, reference: empty };
  return {
    velocity: {
      look: look(t("speed"), "mm/s", 200),
      data: withBand(theirs.speed_mm_s, ours.speed_mm_s, tolerance.velocity_mm_s, interval_s),
    },
    position: {
      look: look(t("distance"), "mm", 40),
      data: withBand(theirs.distance_mm, ours.distance_mm, tolerance.position_mm, interval_s),
    },
    // On the scale of a whole ride nobody sees a centimetre.
    difference: {
      look: {
        ...look(t("deviation"), "mm", 2 * tolerance.position_mm),
        lines: [
          { label: t("tolerance"), color: "--curve-2", unit: "mm", edge: true },
          { label: t("tolerance"), color: "--curve-2", unit: "mm", edge: true },
          { label: t("deviation"), color: "--curve-1", unit: "mm", digits: 1 },
        ],
      },
      data: apart(theirs.distance_mm, ours.distance_mm, tolerance.position_mm, interval_s),
    },
  };
}

/** In the language of the page; the listener's own sentences are English. */
function reasons({ ride, reference, comparison: { position, velocity, tolerance } }: Compared): string[] {
  const found: string[] = ride.direction === reference.direction ? [] : [t("reason_other_way")];
  const off = (what: string, { max, at_s }: Deviation, allowed: number, unit: string) => {
    if (Math.abs(max) > allowed) {
      found.push(t("reason_off", { what, by: signed(max), unit, at: number(at_s, 2), allowed: number(allowed) }));
    }
  };
  off(t("position"), position, tolerance.position_mm, "mm");
  off(t("velocity"), velocity, tolerance.velocity_mm_s, "mm/s");
  return found;
}

function Deviations({ comparison }: { comparison: Comparison }) {
  const rows: { name: string; position: Deviation; velocity: Deviation }[] = [
    { name: t("whole_ride"), position: comparison.position, velocity: comparison.velocity },
    ...comparison.phases.map((phase) => ({ ...phase, name: word("phase", phase.name) })),
  ];
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("deviation_caption")}>
      <table class="phases deviations">
        <caption>{t("deviation_caption")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("phase")}</th>
            <th scope="col">{t("position")} max mm</th>
            <th scope="col">rms mm</th>
            <th scope="col">{t("at")} s</th>
            <th scope="col">{t("velocity")} max mm/s</th>
            <th scope="col">rms mm/s</th>
            <th scope="col">{t("at")} s</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, position, velocity }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{signed(position.max)}</td>
              <td>{number(position.rms, 1)}</td>
              <td>{number(position.at_s, 2)}</td>
              <td>{signed(velocity.max)}</td>
              <td>{number(velocity.rms, 1)}</td>
              <td>{number(velocity.at_s, 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      </div>
      <p>
        {t("longer_by", { seconds: signed(comparison.duration_s, 2), distance: signed(comparison.distance_mm) })}
      </p>
    </>
  );
}

async function saveComparison(compared: Compared): Promise<void> {
  const { velocity, position, difference } = picturesOf(compared);
  const { ride, reference } = compared;
  const title = `${t("ride_named", { number: String(ride.number) })} ${t("against_reference")} ${reference.number}`;
  await savePictureOf(title, ride, [velocity, position, difference, ...signalsOf(compared)], `compare_${reference.number}`);
}
