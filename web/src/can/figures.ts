/** Figures for people that depend on what they are. Pure but for the language that is spoken. */

import { number } from "../format";

const DIGITS_MAX = 6;

/** With all the digits that it has: a limit must not be rounded. */
export function exact(value: number | null): string {
  if (value === null) return "–";
  const [, decimals = ""] = Number(value.toPrecision(12)).toString().split(".");
  return number(value, Math.min(DIGITS_MAX, decimals.length));
}

export function sizeText(octets: number): string {
  if (octets < 1000) return `${number(octets)} B`;
  if (octets < 1_000_000) return `${number(octets / 1000, octets < 10_000 ? 1 : 0)} kB`;
  if (octets < 1e9) return `${number(octets / 1e6, octets < 1e7 ? 1 : 0)} MB`;
  return `${number(octets / 1e9, 1)} GB`;
}
