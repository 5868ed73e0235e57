/** Signals of other devices below the curves of a ride: which of them are shown, their curves, their numbers. */

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Chart } from "./chart";
import type { Zoom } from "./chart";
import { number, signed } from "./format";
import { t, word } from "./i18n";
import type { Columns, Look } from "./plot";
import type { BothTracks, Phase, SignalDeviation, Track, Tracks } from "./protocol";
import { keep, recall } from "./settings";
import { alongside, besideTracks, digitsOf, lookOf, ofTrack, shortNames, within, wordsWithin } from "./tracks";

/** More would be less. */
const SHOWN_FIRST = 4;
const hidden = signal<Record<string, boolean>>(remembered());

function remembered(): Record<string, boolean> {
  try {
    const found: unknown = JSON.parse(recall("signals") || "{}");
    return typeof found === "object" && found !== null ? (found as Record<string, boolean>) : {};
  } catch {
    return {};
  }
}

export function shownSignals(names: string[]): string[] {
  return names.filter((name, index) => !(hidden.value[name] ?? index >= SHOWN_FIRST));
}

export function SignalToggles({ names, silent = [] }: { names: string[]; silent?: string[] }) {
  if (names.length === 0) return null;
  const short = shortNames(names);
  const shown = shownSignals(names);
  return (
    <div class="tools signals" role="group" aria-label={t("signals")}>
      <span class="hint">{t("signals")}</span>
      {names.map((name) => (
        <button
          key={name}
          type="button"
          title={name}
          aria-pressed={shown.includes(name)}
          onClick={() => {
            hidden.value = { ...hidden.value, [name]: shown.includes(name) };
            keep("signals", JSON.stringify(hidden.value));
          }}
        >
          {short[name]}
          {silent.includes(name) && ` (${t("signal_silent")})`}
        </button>
      ))}
    </div>
  );
}

export interface Part {
  name: string;
  look: Look;
  data: Columns;
}

/** Of a ride: those that are shown and have said something. */
export function partsOf(tracks: Tracks, phases: Phase[] | undefined, times: number[]): Part[] {
  const span: [number, number] = [times[0] ?? 0, times[times.length - 1] ?? 0];
  const short = shortNames(Object.keys(tracks));
  return shownSignals(Object.keys(tracks))
    .filter((name) => tracks[name]!.values.length > 0)
    .map((name) => ({ name, look: lookOf(short[name]!, tracks[name]!, t("seconds_of_ride"), phases), data: alongside(ofTrack(tracks[name]!), span) }));
}

/** Of a comparison: the reference dashed, as in its other curves. */
export function partsOfBoth(both: Record<string, BothTracks>, names: [string, string], phases: Phase[] | undefined, endS: number): Part[] {
  const short = shortNames(Object.keys(both));
  return shownSignals(Object.keys(both))
    .map((name) => ({ name, ours: trackOf(both[name]!, "ride"), theirs: trackOf(both[name]!, "reference") }))
    .filter(({ ours, theirs }) => ours.values.length + theirs.values.length > 0)
    .map(({ name, ours, theirs }) => {
      const look = lookOf(short[name]!, { ...ours, values: [...ours.values, ...theirs.values] }, t("seconds_of_ride"), phases);
      const [line] = look.lines;
      const lines = [
        { ...line!, label: names[1], color: "--curve-2", dash: [8, 5] },
        { ...line!, label: names[0], color: "--curve-1" },
      ];
      return { name, look: { ...look, lines }, data: alongside(besideTracks([theirs, ours]), [0, endS]) };
    });
}

/** Of several rides: each in the colour that it has in their other curves. */
export function partsOfAll(rides: Tracks[], lines: Look["lines"], endS: number): Part[] {
  const names = [...new Set(rides.flatMap((tracks) => Object.keys(tracks)))];
  const short = shortNames(names);
  return shownSignals(names).flatMap((name) => {
    const tracks = rides.map((signals) => signals[name] ?? { unit: "", words: {}, offsets_us: [], values: [] });
    const first = tracks.find(({ values }) => values.length > 0);
    if (!first) return [];
    const values = tracks.flatMap((track) => track.values);
    const words = Object.assign({}, ...tracks.map((track) => track.words)) as Track["words"];
    const look = lookOf(short[name]!, { ...first, values, words }, t("seconds_of_ride"));
    const [line] = look.lines;
    const drawn = lines.map(({ label, color }, index) => ({ ...line!, label, color, unit: tracks[index]!.unit }));
    return [{ name, look: { ...look, lines: drawn }, data: alongside(besideTracks(tracks), [0, endS]) }];
  });
}

function trackOf({ unit, words, ...both }: BothTracks, which: "ride" | "reference"): Track {
  const { times_s, values } = both[which];
  return { unit, words, offsets_us: times_s.map((s) => Math.round(s * 1e6)), values };
}

export function SignalCharts({ parts, zoom }: { parts: Part[]; zoom: Zoom }) {
  return (
    <>
      {parts.map(({ name, look, data }) => (
        <div key={name} data-signal={name}>
          <Chart look={look} zoom={zoom} data={data} class="low" />
        </div>
      ))}
    </>
  );
}

export function SignalTable({ tracks, phases = [], durationS }: { tracks: Tracks; phases?: Phase[] | undefined; durationS: number }) {
  const told = Object.entries(tracks).filter(([, track]) => track.values.length > 0);
  const rows = useMemo(
    () => [
      { name: "", begin_s: 0, end_s: durationS },
      ...phases.map((phase) => ({ name: phase.name, begin_s: phase.begin_s, end_s: phase.begin_s + phase.duration_s })),
    ],
    [phases, durationS],
  );
  if (told.length === 0) return null;
  const short = shortNames(Object.keys(tracks));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("signals")}>
      <table class="phases signals">
        <caption>{t("signals_caption")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("phase")}</th>
            {told.map(([name, { unit }]) => (
              <th key={name} scope="col" title={name}>
                {short[name]} {unit}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, begin_s, end_s }) => (
            <tr key={name} data-phase={name || "whole"}>
              <th scope="row">{name ? word("phase", name) : t("whole_ride")}</th>
              {told.map(([channel, track]) => (
                <td key={channel}>{saidWithin(track, begin_s, end_s)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function saidWithin(track: Track, beginS: number, endS: number): string {
  // The mean of words is nothing.
  if (Object.keys(track.words).length > 0) return wordsWithin(track, beginS, endS).join(", ") || "–";
  const found = within(track, beginS, endS);
  const digits = digitsOf(track.values);
  return found ? `${number(found.mean, digits || 1)} (${number(found.min, digits)} … ${number(found.max, digits)})` : "–";
}

export function SignalDeviations({ signals }: { signals: SignalDeviation[] }) {
  if (signals.length === 0) return null;
  const short = shortNames(signals.map(({ name }) => name));
  return (
    <>
      {signals.map(({ name, unit, phases, ...whole }) => (
        <div key={name} class="scroll" tabIndex={0} role="region" aria-label={name}>
          <table class="phases deviations signals" data-deviation={name}>
            <caption>
              {`${short[name]} ${unit}`.trim()}: {t("deviation_caption")}
            </caption>
            <thead>
              <tr>
                <th scope="col">{t("phase")}</th>
                <th scope="col">{t("mean_ride")}</th>
                <th scope="col">{t("mean_reference")}</th>
                <th scope="col">max</th>
                <th scope="col">rms</th>
                <th scope="col">{t("at")} s</th>
              </tr>
            </thead>
            <tbody>
              {[{ ...whole, name: "" }, ...phases].map((each) => (
                <tr key={each.name}>
                  <th scope="row">{each.name ? word("phase", each.name) : t("whole_ride")}</th>
                  <td>{number(each.ride_mean, 2)}</td>
                  <td>{number(each.reference_mean, 2)}</td>
                  <td>{each.max === null ? "–" : signed(each.max, 2)}</td>
                  <td>{number(each.rms, 2)}</td>
                  <td>{number(each.at_s, 2)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ))}
    </>
  );
}
