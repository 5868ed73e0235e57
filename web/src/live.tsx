/** The ride as it happens; frozen at its end, with its summary beside it. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ask, bench, benchTime, bothChannels, motions, positions, stale } from "./bench";
import { Chart, useZoom } from "./chart";
import type { Picture, Zoom } from "./chart";
import { ageS } from "./conditions";
import { ofRide } from "./course";
import { age, clock, directionText, number } from "./format";
import { t } from "./i18n";
import type { RideOver } from "./model";
import type { Columns, Look } from "./plot";
import type { KeptRide, Tracks } from "./protocol";
import { decimate } from "./series";
import { SignalCharts, SignalToggles, partsOf, shownSignals } from "./signal_charts";
import { OLD_S, heardSignals, listen } from "./signal_live";
import { NextSpecimen } from "./specimen";
import { SummaryTable } from "./summary";
import { axisTitle, shortNames } from "./tracks";
import type { Span } from "./zoom";

const WINDOW_S = 30;
/** Shown before a ride and after it. */
const MARGIN_S = 1;
/** So long after its end a ride is on the disk. */
const STORED_MS = 1000;

type What = { mode: "now" } | { mode: "ride"; startTs: number } | { mode: "over"; ride: RideOver };

export function Live() {
  const { ride, last, parts, signals } = bench.value;
  const frozen = useSignal(true); // whether the last ride stays until the next one begins
  const zoom = useZoom();
  const over = frozen.value && last !== null && ride === null ? last : null;
  const what: What = ride ? { mode: "ride", startTs: ride.startTs } : over ? { mode: "over", ride: over } : { mode: "now" };
  const shownId = ride?.id ?? over?.id ?? "";

  useEffect(() => {
    zoom.span.value = null;
  }, [shownId]);
  useEffect(() => {
    if (ride) frozen.value = true;
  }, [ride?.id]);

  useEffect(() => (signals.length > 0 ? listen() : undefined), [signals.length > 0]);

  // Without rides there are no motions: the channels themselves are drawn.
  const channelsDrawn = bothChannels.value || (bench.value.epoch !== null && !parts.has("rides"));
  const whole = useWhole(over);
  const velocity = useMemo(() => feedOf(what, 2), [what.mode, shownId]);
  const position = useMemo(
    () => (channelsDrawn ? channelsFeed(what) : feedOf(what, 1)),
    [what.mode, shownId, channelsDrawn],
  );
  const xValue = what.mode === "now" ? clock : undefined;
  const axis = { xTitle: what.mode === "now" ? t("time_of_day") : t("seconds_of_ride"), ...(xValue ? { xValue } : {}) };
  const phases = over?.end.summary.phases;
  const velocityLook: Look = {
    ...axis,
    title: `${t("velocity")} mm/s`,
    lines: [{ label: t("velocity"), color: "--curve-1", unit: "mm/s" }],
    leastSpan: 200,
    ...(phases ? { phases } : {}),
  };
  const positionLook: Look = {
    ...axis,
    title: `${t("position")} mm`,
    lines: channelsDrawn
      ? [
          { label: t("channel_master"), color: "--curve-1", unit: "mm", digits: 0 },
          { label: t("channel_slave"), color: "--curve-2", unit: "mm", digits: 0, dash: [8, 5] },
        ]
      : [{ label: t("position"), color: "--curve-1", unit: "mm", digits: 1 }],
    leastSpan: 40,
  };

  return (
    <section class={stale.value ? "live stale" : "live"} aria-label={t("live")}>
      <Figures />
      <div class="tools">
        <span class="what">{title(what)}</span>
        <label>
          <input
            type="checkbox"
            checked={bothChannels.value}
            onChange={(event) => {
              bothChannels.value = event.currentTarget.checked;
            }}
          />
          {t("both_channels")}
        </label>
        {over && (
          <button
            type="button"
            onClick={() => {
              frozen.value = false;
            }}
          >
            {t("go_on_live")}
          </button>
        )}
        {!over && !ride && last && (
          <button
            type="button"
            onClick={() => {
              frozen.value = true;
            }}
          >
            {t("last_ride")}
          </button>
        )}
        {parts.has("rides") && <NextSpecimen />}
      </div>
      <div class={over ? "curves with-summary" : "curves"}>
        <div class="stack">
          {parts.has("rides") || bench.value.epoch === null ? (
            <Chart
              key={`v ${what.mode} ${whole !== null}`}
              look={velocityLook}
              zoom={zoom}
              {...(whole ? { data: whole.velocity } : { feed: velocity })}
            />
          ) : (
            <p class="empty">{t("no_motion")}</p>
          )}
          <Chart
            key={`p ${what.mode} ${whole !== null} ${channelsDrawn}`}
            look={positionLook}
            zoom={zoom}
            {...(whole && !channelsDrawn ? { data: whole.position } : { feed: position })}
          />
          <SignalToggles names={signals} />
          {whole ? (
            <SignalCharts parts={partsOf(whole.signals, phases, whole.velocity[0] as number[])} zoom={zoom} />
          ) : (
            shownSignals(signals).map((name) => (
              <LiveSignal key={`${name} ${what.mode} ${shownId}`} name={name} all={signals} what={what} axis={axis} zoom={zoom} />
            ))
          )}
        </div>
        {over && (
          <aside>
            <h2>{t("last_ride")}</h2>
            <SummaryTable summary={over.end.summary} direction={over.direction} reason={over.end.reason} />
            <p>
              <a href={`#/rides/${over.id}`}>{t("open_ride")}</a>
            </p>
          </aside>
        )}
      </div>
    </section>
  );
}

interface LiveSignalProps {
  name: string;
  all: string[];
  what: What;
  axis: Pick<Look, "xTitle" | "xValue">;
  zoom: Zoom;
}

function LiveSignal({ name, all, what, axis, zoom }: LiveSignalProps) {
  const unit = heardSignals.get(name)?.unit ?? "";
  const label = shortNames(all)[name]!;
  const drawn = useMemo(
    () => feed(what, (from, to) => heardSignals.get(name)?.series.columnsBetween(from, to) ?? [[], []], () => heardSignals.get(name)?.series.lastTime ?? 0),
    [],
  );
  const look: Look = {
    ...axis,
    title: axisTitle(label, unit),
    lines: [{ label, color: "--curve-3", unit, digits: 2 }],
    leastSpan: 0.1,
  };
  return (
    <div data-signal={name}>
      <Chart look={look} zoom={zoom} feed={drawn} class="low" />
    </div>
  );
}

/** Who has come in the middle of a ride has not seen its beginning; the listener has. */
function useWhole(over: RideOver | null): { velocity: Columns; position: Columns; signals: Tracks } | null {
  const whole = useSignal<{ id: string; kept: KeptRide } | null>(null);
  const seenFrom = motions.length > 0 ? motions.at(0, 0) : Infinity;
  const wanted = over !== null && seenFrom > over.startTs ? over.id : null;
  useEffect(() => {
    if (wanted === null) return undefined;
    const timer = setTimeout(async () => {
      const kept = await ask<KeptRide>("get_ride", { ride: wanted, events: false }).catch(() => null);
      if (kept?.curve.offsets_us.length) whole.value = { id: wanted, kept };
    }, STORED_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  const kept = whole.value !== null && whole.value.id === over?.id ? whole.value.kept : null;
  return useMemo(() => kept && { ...ofRide(kept.curve), signals: kept.signals ?? {} }, [kept]);
}

function Figures() {
  const { positionMm, motion, floor, ride, signals } = bench.value;
  const old = stale.value ? ageS(bench.value, performance.now()) : null;
  return (
    <dl class="figures">
      <div data-figure="position">
        <dt>{t("position")}</dt>
        <dd>
          {number(positionMm)} <small>mm</small>
        </dd>
      </div>
      <div data-figure="velocity">
        <dt>{t("velocity")}</dt>
        <dd>
          {number(motion?.velocity_mm_s)} <small>mm/s</small>
        </dd>
      </div>
      <div data-figure="floor">
        <dt>{t("floor")}</dt>
        <dd>{ride ? directionText(ride.direction) : number(floor)}</dd>
      </div>
      {shownSignals(signals).map((name) => {
        const heard = heardSignals.get(name);
        const isOld = !heard || performance.now() - heard.at > 1000 * OLD_S;
        return (
          <div key={name} class="signal" data-figure={name} title={name}>
            <dt>{shortNames(signals)[name]}</dt>
            <dd>
              {isOld ? "–" : heard.text || number(heard.value, 2)} <small>{heard?.unit}</small>
            </dd>
          </div>
        );
      })}
      {bothChannels.value && (
        <div data-figure="difference">
          <dt>{t("difference")}</dt>
          <dd>
            {number(difference(), 1)} <small>mm</small>
          </dd>
        </div>
      )}
      {stale.value && (
        <div class="age" data-figure="age">
          <dt>{t("stale")}</dt>
          <dd>{old === null ? "–" : age(old)}</dd>
        </div>
      )}
    </dl>
  );
}

function title(what: What): string {
  if (what.mode === "ride") return t("ride_in_progress");
  return what.mode === "over" ? t("ride_over", { time: clock(what.ride.startTs) }) : t("live_now");
}

/** What is drawn between these times of the bench, and where zero is. */
function spanOf(what: What): { from: number; to: number; zero: number } | null {
  if (what.mode === "over") {
    const { startTs, endTs } = what.ride;
    return { from: startTs - MARGIN_S, to: endTs + MARGIN_S, zero: startTs };
  }
  if (benchTime.ts === 0) return null;
  // The picture moves on while samples come, and stands when they do not.
  const since = Math.min((performance.now() - benchTime.at) / 1000, 0.1);
  const to = benchTime.ts + since;
  if (what.mode === "now") return { from: to - WINDOW_S, to, zero: 0 };
  return { from: Math.max(what.startTs - MARGIN_S, to - WINDOW_S), to: Math.max(to, what.startTs + 9), zero: what.startTs };
}

/** Draws only what has changed: nothing at all while the bench is silent. */
function feedOf(what: What, column: number): () => Picture | null {
  return feed(what, (from, to) => {
    const columns = motions.columnsBetween(from, to);
    return [columns[0]!, columns[column]!];
  });
}

function channelsFeed(what: What): () => Picture | null {
  return feed(what, (from, to) => {
    const [times = [], master = []] = positions.master.columnsBetween(from, to);
    // They are not sent at the same moments: at full speed a tenth of a second is a decimetre.
    return [times, master, times.map((time) => (time === null ? null : positions.slave.valueAt(1, time)))];
  });
}

/** Master minus slave at the last moment that is known of both. */
function difference(): number | null {
  const { master, slave } = positions;
  if (master.lastTime === null || slave.lastTime === null) return null;
  const at = Math.min(master.lastTime, slave.lastTime);
  const [ours, theirs] = [master.valueAt(1, at), slave.valueAt(1, at)];
  return ours === null || theirs === null ? null : ours - theirs;
}

function feed(
  what: What,
  read: (from: number, to: number) => Columns,
  changed: () => number = () => motions.lastTime ?? 0,
): () => Picture | null {
  let drawn = "";
  return () => {
    const shown = spanOf(what);
    if (shown === null) return null;
    const { from, to, zero } = shown;
    const state = `${from} ${to} ${Math.min(changed(), to)}`;
    if (state === drawn) return null;
    drawn = state;
    const [times = [], ...values] = decimate(read(from, to), 1600);
    const span: Span = [from - zero, to - zero];
    return { data: [times.map((time) => time! - zero), ...values], span };
  };
}
