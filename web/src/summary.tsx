/** The numbers of a ride. */

import { directionText, number, signed, withUnit } from "./format";
import { t, word } from "./i18n";
import type { Key } from "./i18n";
import type { Direction, Phase, Summary } from "./protocol";

interface Props {
  summary: Partial<Summary>;
  direction: Direction;
  reason: string | null;
}

export function SummaryTable({ summary, direction, reason }: Props) {
  const { max, p95 } = summary;
  const rows: [Key, string][] = [
    ["direction", directionText(direction)],
    ["distance", withUnit(summary.distance_mm, "mm")],
    ["duration", withUnit(summary.duration_s, "s", 2)],
    ["from_to", `${number(summary.start_position_mm)} → ${withUnit(summary.stop_position_mm, "mm")}`],
    ["floors", `${number(summary.start_floor)} → ${number(summary.stop_floor)}`],
    ["stop_offset", summary.stop_offset_mm == null ? "–" : `${signed(summary.stop_offset_mm)} mm`],
    ["max_velocity", withUnit(max?.velocity_mm_s, "mm/s")],
    ["full_speed", withUnit(summary.full_speed_mm_s, "mm/s")],
    ["creep_speed", withUnit(summary.creep_speed_mm_s, "mm/s")],
    ["max_acceleration", pair(max?.acceleration_mm_s2, p95?.acceleration_mm_s2, "mm/s²")],
    ["max_deceleration", pair(max?.deceleration_mm_s2, p95?.deceleration_mm_s2, "mm/s²")],
    ["max_jerk", pair(max?.jerk_mm_s3, p95?.jerk_mm_s3, "mm/s³")],
    ["relevels", number(summary.relevels)],
  ];
  const odd = [
    reason !== null && reason !== "completed" ? `${word("reason", reason)}${summary.cause ? `: ${word("cause", summary.cause)}` : ""}` : "",
    summary.partial ? t("partial") : "",
    summary.turned ? t("turned") : "",
    summary.stops ? t("stops_between", { count: summary.stops }) : "",
  ].filter(Boolean);
  return (
    <>
      {odd.length > 0 && <p class="odd">{odd.join(" · ")}</p>}
      <table class="numbers">
        <tbody>
          {rows.map(([key, value]) => (
            <tr key={key} data-row={key}>
              <th scope="row">{t(key)}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">{t("position_derived")}</p>
    </>
  );
}

function pair(max: number | undefined, p95: number | undefined, unit: string): string {
  return max === undefined ? "–" : `${number(max)} (${number(p95)}) ${unit}`;
}

export function PhaseTable({ phases }: { phases: Phase[] | undefined }) {
  if (!phases?.length) return <p class="hint">{t("no_phases")}</p>;
  return (
    <table class="phases">
      <caption>{t("phases")}</caption>
      <thead>
        <tr>
          <th scope="col">{t("phase")}</th>
          <th scope="col">{t("duration")} s</th>
          <th scope="col">{t("distance")} mm</th>
          <th scope="col">{t("mean_speed")} mm/s</th>
        </tr>
      </thead>
      <tbody>
        {phases.map((phase) => (
          <tr key={phase.name}>
            <th scope="row">{word("phase", phase.name)}</th>
            <td>{number(phase.duration_s, 2)}</td>
            <td>{number(phase.distance_mm)}</td>
            <td>{number(phase.speed_mm_s)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
