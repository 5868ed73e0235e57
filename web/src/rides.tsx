/** All rides that are kept: found again by specimen and day, marked, deleted, laid over each other. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, connected, ridesChanged, tryTo } from "./bench";
import { deleteSoon, goingAway } from "./deleting";
import { arrow, dateTime, number } from "./format";
import { t, word } from "./i18n";
import type { Ride, RideList } from "./protocol";
import { NextSpecimen, specimen } from "./specimen";
import { forgetVerdicts, Verdict } from "./verdict";

const PAGE = 50;
const PAGES_MAX = 500;
/** A ride that has just ended is on the disk a moment later. */
const SETTLE_MS = [300, 2000];
const OVERLAID_MAX = 8;

export function Rides() {
  const list = useSignal<RideList | null>(null);
  const text = useSignal("");
  const day = useSignal("");
  const chosen = useSignal<ReadonlySet<number>>(new Set());

  const asked = useRef(0);
  // Somebody else may have chosen another reference meanwhile.
  useEffect(forgetVerdicts, []);

  const read = async (before?: number) => {
    const mine = ++asked.current;
    // As many as are shown already: a ride that ends must not close the earlier pages.
    const limit = before ? PAGE : Math.min(PAGES_MAX, Math.max(PAGE, list.value?.rides.length ?? 0));
    const parameters = { filter: filterOf(text.value, day.value), limit, ...(before ? { before } : {}) };
    const found = await ask<RideList>("list_rides", parameters).catch(() => null);
    if (found === null || mine !== asked.current) return; // another filter was typed meanwhile
    specimen.value = found.specimen;
    const earlier = before && list.value ? list.value.rides : [];
    list.value = { ...found, rides: [...earlier, ...found.rides] };
  };
  useEffect(() => {
    if (!connected.value) return undefined;
    const timers = [0, ...SETTLE_MS].map((ms) => setTimeout(() => void read(), ms));
    return () => timers.forEach(clearTimeout);
  }, [connected.value, ridesChanged.value]);
  useEffect(() => {
    const timer = setTimeout(() => void (connected.value && read()), 250);
    return () => clearTimeout(timer);
  }, [text.value, day.value]);

  const rides = list.value?.rides.filter((ride) => !goingAway.value.has(ride.number)) ?? [];
  const change = (changed: Ride) => {
    if (list.value === null) return;
    list.value = { ...list.value, rides: list.value.rides.map((ride) => (ride.number === changed.number ? changed : ride)) };
  };
  const choose = (ride: Ride, on: boolean) => {
    const next = new Set(chosen.value);
    if (on) next.add(ride.number);
    else next.delete(ride.number);
    chosen.value = next;
  };

  return (
    <section aria-label={t("rides")}>
      <div class="tools">
        <label>
          {t("filter_text")}
          <input
            type="search"
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
          />
        </label>
        <label>
          {t("day")}
          <input
            type="date"
            value={day.value}
            onInput={(event) => {
              day.value = event.currentTarget.value;
            }}
          />
        </label>
        <NextSpecimen />
        <OverlayLink chosen={[...chosen.value]} />
      </div>
      {list.value === null ? (
        <p class="empty">{t("loading")}</p>
      ) : rides.length === 0 ? (
        <p class="empty">{text.value || day.value ? t("no_such_rides") : t("no_rides_yet")}</p>
      ) : (
        <>
          <table class="rides">
            <caption>{t("rides_shown", { shown: rides.length, total: list.value.total })}</caption>
            <thead>
              <tr>
                <th scope="col">
                  <span class="for-readers">{t("choose")}</span>
                </th>
                <th scope="col">{t("time")}</th>
                <th scope="col">{t("specimen")}</th>
                <th scope="col" class="figure">
                  {t("distance")} mm
                </th>
                <th scope="col" class="figure duration">
                  {t("duration")} s
                </th>
                <th scope="col" class="figure wide">
                  {t("max_velocity")} mm/s
                </th>
                <th scope="col">{t("verdict")}</th>
                <th scope="col" class="wide">
                  {t("note")}
                </th>
                <th scope="col">
                  <span class="for-readers">{t("actions")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rides.map((ride) => (
                <Row key={ride.number} ride={ride} chosen={chosen.value.has(ride.number)} choose={choose} change={change} />
              ))}
            </tbody>
          </table>
          {list.value.rides.length < list.value.total && (
            <button type="button" onClick={() => void read(list.value!.rides.at(-1)!.number)}>
              {t("more_rides")}
            </button>
          )}
        </>
      )}
    </section>
  );
}

interface RowProps {
  ride: Ride;
  chosen: boolean;
  choose: (ride: Ride, on: boolean) => void;
  change: (ride: Ride) => void;
}

function Row({ ride, chosen, choose, change }: RowProps) {
  const over = ride.reason !== null;
  const name = t("ride_named", { number: String(ride.number) });
  const star = async () => {
    const done = await tryTo(ask<{ ride: Ride }>("annotate_ride", { ride: ride.number, starred: !ride.is_starred }));
    if (done) change(done.ride);
  };
  return (
    <tr data-ride={ride.number} class={ride.is_reference ? "reference" : ""}>
      <td>
        <input
          type="checkbox"
          aria-label={t("choose_ride", { number: String(ride.number) })}
          checked={chosen}
          disabled={!over}
          onChange={(event) => choose(ride, event.currentTarget.checked)}
        />
      </td>
      <td>
        <a href={`#/rides/${ride.number}`} aria-label={`${name}, ${dateTime(ride.start_ts)}`}>
          {dateTime(ride.start_ts)}
        </a>
        {ride.is_reference && <span class="tag">{t("reference")}</span>}
      </td>
      <td class="name">{ride.specimen || "–"}</td>
      <td class="figure">
        <span aria-hidden="true">{arrow(ride.direction)}</span> <span class="for-readers">{t(ride.direction)}</span>
        {number(ride.distance_mm)}
      </td>
      <td class="figure duration">{over ? number(ride.summary.duration_s, 2) : t("in_progress")}</td>
      <td class="figure wide">{number(ride.summary.max?.velocity_mm_s)}</td>
      <td>{ride.reason === "completed" ? <Verdict ride={ride} /> : over ? word("reason", ride.reason!) : "–"}</td>
      <td class="name wide">{ride.note}</td>
      <td class="actions">
        <button type="button" aria-pressed={ride.is_starred} title={t("star")} aria-label={`${t("star")}, ${name}`} onClick={() => void star()}>
          {ride.is_starred ? "★" : "☆"}
        </button>
        <button
          type="button"
          disabled={!over}
          title={t("delete")}
          aria-label={`${t("delete")}, ${name}`}
          onClick={() => deleteSoon(ride)}
        >
          ✕
        </button>
      </td>
    </tr>
  );
}

function OverlayLink({ chosen }: { chosen: number[] }) {
  if (chosen.length < 2) return <span class="hint">{t("choose_to_overlay")}</span>;
  if (chosen.length > OVERLAID_MAX) return <span class="hint">{t("too_many_to_overlay", { count: OVERLAID_MAX })}</span>;
  return (
    <a class="button" href={`#/overlay/${[...chosen].sort((a, b) => a - b).join(",")}`}>
      {t("overlay", { count: chosen.length })}
    </a>
  );
}

/** The day is one of this screen's clock. */
function filterOf(text: string, day: string): Record<string, unknown> {
  const filter: Record<string, unknown> = {};
  if (text.trim()) filter.text = text.trim();
  if (day) {
    const begin = new Date(`${day}T00:00:00`);
    const end = new Date(begin);
    end.setDate(end.getDate() + 1);
    filter.since = begin.getTime() / 1000;
    filter.until = end.getTime() / 1000;
  }
  return filter;
}
