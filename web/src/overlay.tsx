/** Several rides over each other: what did the last turn of the screw change? */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ask, connected, tryTo } from "./bench";
import { Chart, useZoom } from "./chart";
import { beside, courseOf } from "./course";
import { clock, dateTime, number, withUnit } from "./format";
import { language, t } from "./i18n";
import type { Look } from "./plot";
import type { KeptRide } from "./protocol";
import { SignalCharts, SignalToggles, partsOfAll, shownSignals } from "./signal_charts";

const INTERVAL_S = 0.02;
const COLORS = 8;

export function Overlay({ numbers }: { numbers: number[] }) {
  const kept = useSignal<KeptRide[] | null>(null);
  const zoom = useZoom();
  useEffect(() => {
    kept.value = null;
    if (!connected.value) return;
    void Promise.all(numbers.map((ride) => tryTo(ask<KeptRide>("get_ride", { ride, events: false })))).then((found) => {
      kept.value = found.filter((each) => each !== null);
    });
  }, [numbers.join(), connected.value]);

  const columns = useMemo(() => {
    const courses = (kept.value ?? []).map(({ ride, curve }) => courseOf(ride, curve, INTERVAL_S));
    return {
      speed: beside(courses.map((course) => course.speed_mm_s), INTERVAL_S),
      distance: beside(courses.map((course) => course.distance_mm), INTERVAL_S),
    };
  }, [kept.value]);
  const rides = (kept.value ?? []).map(({ ride }) => ride);
  const tracks = (kept.value ?? []).map(({ signals = {} }) => signals);
  const names = [...new Set(tracks.flatMap((each) => Object.keys(each)))];
  const specimens = new Set(rides.map(({ specimen }) => specimen));
  const lines = (unit: string) =>
    rides.map((ride, index) => ({
      // Of one specimen the time tells them apart.
      label: `${ride.number} · ${specimens.size > 1 ? ride.specimen || t("no_specimen") : clock(ride.start_ts)}`,
      color: `--curve-${(index % COLORS) + 1}`,
      unit,
      digits: 1,
    }));
  const shown = shownSignals(names).join();
  const signals = useMemo(() => {
    const times = columns.speed[0] ?? [];
    return partsOfAll(tracks, lines(""), times[times.length - 1] ?? 0);
  }, [kept.value, shown, language.value]);
  if (kept.value === null) return <p class="empty">{t("loading")}</p>;

  const look = (title: string, unit: string, leastSpan: number): Look => ({
    title: `${title} ${unit}`,
    xTitle: t("seconds_of_ride"),
    leastSpan,
    lines: lines(unit),
  });
  return (
    <article class="overlay">
      <header>
        <h1>{specimens.size === 1 ? [...specimens][0] || t("no_specimen") : t("overlay", { count: kept.value.length })}</h1>
      </header>
      <div class="stack">
        <Chart look={look(t("speed"), "mm/s", 200)} zoom={zoom} data={columns.speed} />
        <Chart look={look(t("distance"), "mm", 40)} zoom={zoom} data={columns.distance} />
        <SignalToggles names={names} silent={names.filter((name) => tracks.every((each) => !each[name]?.values.length))} />
        <SignalCharts parts={signals} zoom={zoom} />
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("rides")}>
      <table class="phases">
        <caption>{t("rides")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("ride")}</th>
            <th scope="col">{t("time")}</th>
            <th scope="col" class="name">
              {t("note")}
            </th>
            <th scope="col">{t("duration")}</th>
            <th scope="col">{t("full_speed")}</th>
            <th scope="col">{t("creep_speed")}</th>
            <th scope="col">{t("stop_offset")}</th>
          </tr>
        </thead>
        <tbody>
          {kept.value.map(({ ride }, index) => (
            <tr key={ride.number}>
              <th scope="row">
                <span class="swatch" style={{ background: `var(--curve-${(index % COLORS) + 1})` }} />
                <a href={`#/rides/${ride.number}`}>{ride.number}</a>
              </th>
              <td>{dateTime(ride.start_ts)}</td>
              <td class="name">{ride.note}</td>
              <td>{withUnit(ride.summary.duration_s, "s", 2)}</td>
              <td>{withUnit(ride.summary.full_speed_mm_s, "mm/s")}</td>
              <td>{withUnit(ride.summary.creep_speed_mm_s, "mm/s")}</td>
              <td>{ride.summary.stop_offset_mm == null ? "–" : `${number(ride.summary.stop_offset_mm, 1)} mm`}</td>
            </tr>
          ))}
        </tbody>
      </table>
      </div>
    </article>
  );
}
