/** One ride: its curves, its numbers, what happened in it; what is written on it; and how to take it along. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ask, connected, ridesChanged, tryTo } from "./bench";
import { Chart, useZoom } from "./chart";
import { ofRide } from "./course";
import { deleteSoon, goingAway } from "./deleting";
import { saveCsv, saveRawCsv } from "./exports";
import { dateTime, directionText, number } from "./format";
import { language, t, word } from "./i18n";
import { savePicture } from "./picture";
import type { Look } from "./plot";
import type { Envelope, KeptRide, Ride, Tracks } from "./protocol";
import { SignalCharts, SignalTable, SignalToggles, partsOf, shownSignals } from "./signal_charts";
import { PhaseTable, SummaryTable } from "./summary";
import { Verdict, forgetVerdicts } from "./verdict";

type Charted = Pick<KeptRide, "ride" | "curve"> & { signals: Tracks };

const NOTE_MAX = 4000;
const SPECIMEN_MAX = 200;

export function RideView({ which }: { which: string }) {
  const kept = useSignal<KeptRide | null>(null);
  const missing = useSignal(false);
  const zoom = useZoom();
  useEffect(() => {
    kept.value = null;
    missing.value = false;
    zoom.span.value = null;
  }, [which]);
  useEffect(() => {
    if (!connected.value || kept.value?.ride.reason) return;
    const ride = /^\d+$/.test(which) ? Number(which) : which;
    void tryTo(ask<KeptRide>("get_ride", { ride })).then((found) => {
      kept.value = found;
      missing.value = found === null;
    });
  }, [which, connected.value, ridesChanged.value]);

  if (kept.value === null) return <p class="empty">{missing.value ? t("ride_not_here") : t("loading")}</p>;
  const { ride, curve, signals = {}, events = [] } = kept.value;
  const changed = (next: Ride) => {
    kept.value = { ...kept.value!, ride: next };
  };
  if (goingAway.value.has(ride.number)) return <p class="empty">{t("ride_deleted", { number: String(ride.number) })}</p>;
  return (
    <article class="ride" data-ride={ride.number}>
      <header>
        <h1>
          {t("ride_named", { number: String(ride.number) })} · {ride.specimen || t("no_specimen")}
        </h1>
        <p>
          {dateTime(ride.start_ts)} · {directionText(ride.direction)} · {number(ride.distance_mm)} mm{" "}
          {ride.is_reference && <span class="tag">{t("reference")}</span>}
        </p>
      </header>
      {ride.note && <p class="on-paper">{ride.note}</p>}
      <Actions kept={kept.value} changed={changed} />
      <div class="curves with-summary">
        <RideCharts kept={{ ride, curve, signals }} zoom={zoom} />
        <aside>
          <SummaryTable summary={ride.summary} direction={ride.direction} reason={ride.reason} />
        </aside>
      </div>
      <PhaseTable phases={ride.summary.phases} />
      <SignalTable tracks={signals} phases={ride.summary.phases} durationS={ride.summary.duration_s ?? 0} />
      <Inscription key={ride.number} ride={ride} changed={changed} />
      <EventList events={events} startTs={ride.start_ts} />
    </article>
  );
}

export function looksOf(ride: Ride): { velocity: Look; position: Look } {
  const more = { xTitle: t("seconds_of_ride"), ...(ride.summary.phases ? { phases: ride.summary.phases } : {}) };
  return {
    velocity: {
      ...more,
      title: `${t("velocity")} mm/s`,
      lines: [{ label: t("velocity"), color: "--curve-1", unit: "mm/s" }],
      leastSpan: 200,
    },
    position: {
      ...more,
      title: `${t("position")} mm`,
      lines: [{ label: t("position"), color: "--curve-1", unit: "mm", digits: 1 }],
      leastSpan: 40,
    },
  };
}

function RideCharts({ kept: { ride, curve, signals }, zoom }: { kept: Charted; zoom: ReturnType<typeof useZoom> }) {
  const columns = useMemo(() => ofRide(curve), [curve]);
  const names = Object.keys(signals);
  const shown = shownSignals(names).join();
  const parts = useMemo(() => partsOf(signals, ride.summary.phases, curve.offsets_us.map((us) => us / 1e6)), [signals, ride, shown, language.value]);
  const looks = looksOf(ride);
  if (curve.offsets_us.length === 0) return <p class="empty">{ride.reason === null ? t("ride_goes_on") : t("no_curve")}</p>;
  return (
    <div class="stack">
      <Chart look={looks.velocity} zoom={zoom} data={columns.velocity} />
      <Chart look={looks.position} zoom={zoom} data={columns.position} />
      <SignalToggles names={names} silent={names.filter((name) => signals[name]!.values.length === 0)} />
      <SignalCharts parts={parts} zoom={zoom} />
    </div>
  );
}

function Actions({ kept, changed }: { kept: KeptRide; changed: (ride: Ride) => void }) {
  const { ride } = kept;
  const over = ride.reason !== null;
  const mark = async (command: string, values: Record<string, unknown>) => {
    const done = await tryTo(ask<{ ride: Ride }>(command, { ride: ride.number, ...values }));
    if (done === null) return;
    if (command === "set_reference") forgetVerdicts();
    changed(done.ride);
  };
  return (
    <div class="tools">
      {ride.reason === "completed" && <Verdict ride={ride} quiet />}
      {over && (
        <a class="button" href={`#/compare/${ride.number}`}>
          {t("compare")}
        </a>
      )}
      <button
        type="button"
        disabled={!over}
        aria-pressed={ride.is_reference}
        onClick={() => void mark("set_reference", { reference: !ride.is_reference })}
      >
        {ride.is_reference ? t("reference_no_more") : t("make_reference")}
      </button>
      <button type="button" aria-pressed={ride.is_starred} onClick={() => void mark("annotate_ride", { starred: !ride.is_starred })}>
        {ride.is_starred ? "★" : "☆"} {t("star")}
      </button>
      <button type="button" disabled={!over} onClick={() => saveCsv(kept)}>
        CSV
      </button>
      <button type="button" disabled={!over} onClick={() => void saveRawCsv(ride)}>
        {t("csv_frames")}
      </button>
      <button type="button" disabled={!over} onClick={() => void savePicture(kept)}>
        PNG
      </button>
      <button type="button" onClick={() => window.print()}>
        {t("print")}
      </button>
      <button type="button" disabled={!over} onClick={() => deleteSoon(ride)}>
        {t("delete")}
      </button>
    </div>
  );
}

function Inscription({ ride, changed }: { ride: Ride; changed: (ride: Ride) => void }) {
  const specimen = useSignal(ride.specimen);
  const note = useSignal(ride.note);
  const same = specimen.value.trim() === ride.specimen && note.value.trim() === ride.note;
  const save = async (event: Event) => {
    event.preventDefault();
    const values = { specimen: specimen.value.trim(), note: note.value.trim() };
    const done = await tryTo(ask<{ ride: Ride }>("annotate_ride", { ride: ride.number, ...values }));
    if (done) changed(done.ride);
  };
  return (
    <form class="inscription" onSubmit={save}>
      <label>
        {t("specimen")}
        <input
          maxLength={SPECIMEN_MAX}
          value={specimen.value}
          onInput={(event) => {
            specimen.value = event.currentTarget.value;
          }}
        />
      </label>
      <label>
        {t("note")}
        <textarea
          rows={2}
          maxLength={NOTE_MAX}
          value={note.value}
          onInput={(event) => {
            note.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" disabled={same}>
        {t("save")}
      </button>
    </form>
  );
}

const QUIET: ReadonlySet<string> = new Set(["ride_start", "ride_end"]);

function EventList({ events, startTs }: { events: Envelope[]; startTs: number }) {
  const told = events.filter((event) => !QUIET.has(event.type));
  if (told.length === 0) return null;
  return (
    <section class="events">
      <h2>{t("events_of_ride")}</h2>
      <ul>
        {told.map((event, index) => (
          <li key={index}>
            {number(event.ts - startTs, 2)} s · {describe(event)}
          </li>
        ))}
      </ul>
    </section>
  );
}

function describe({ type, payload }: Envelope): string {
  const channel = typeof payload.channel === "string" ? ` (${word("channel", payload.channel)})` : "";
  if (type === "error") return `${word("error", String(payload.code))}${channel}`;
  if (type === "gap") return t("lost", { count: Number(payload.skipped) });
  if (typeof payload.state === "string") return `${word("state", payload.state)}${channel}`;
  return word("event", type);
}
