/** Values as people read them. */

import { figure, locale, t } from "./i18n";
import type { Direction } from "./protocol";

/** Their unit is said beside them; what is not known is a dash. */
export function number(value: number | null | undefined, digits = 0): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "–" : figure(value, digits);
}

export function withUnit(value: number | null | undefined, unit: string, digits = 0): string {
  return value === null || value === undefined ? "–" : `${number(value, digits)} ${unit}`;
}

/** With its sign, as deviations are said. */
export function signed(value: number, digits = 1): string {
  const text = figure(value, digits);
  return Number(value.toFixed(digits)) > 0 ? `+${text}` : text;
}

export function dateTime(ts: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(ts * 1000);
}

export function clock(ts: number): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(ts * 1000);
}

export function arrow(direction: Direction): string {
  return direction === "up" ? "▲" : "▼";
}

export function directionText(direction: Direction): string {
  return `${arrow(direction)} ${t(direction)}`;
}

export function age(seconds: number): string {
  if (seconds < 120) return t("age_s", { seconds: Math.floor(seconds) });
  return seconds < 7200 ? t("age_min", { minutes: Math.floor(seconds / 60) }) : t("age_h", { hours: Math.floor(seconds / 3600) });
}

/** For a file's name: letters, digits and what joins them. */
export function fileName(...parts: (string | number)[]): string {
  return parts
    .map((part) => String(part).normalize("NFKD").replace(/[^\w.-]+/g, "_").replace(/^[_.]+|_+$/g, ""))
    .filter(Boolean)
    .join("_")
    .slice(0, 120);
}

/** 2026-11-21T14-03-05, local time. */
export function stamp(ts: number): string {
  const date = new Date(ts * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day}T${[two(date.getHours()), two(date.getMinutes()), two(date.getSeconds())].join("-")}`;
}
