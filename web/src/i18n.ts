/** The words of the page. Pure but for the signal that says which language is spoken. */

import { signal } from "@preact/signals";
import { de } from "./de";
import { en } from "./en";

export type Key = keyof typeof en;
export type Language = "en" | "de";
export type Args = Record<string, string | number>;

const WORDS: Record<Language, Record<Key, string>> = { en, de };

export const language = signal<Language>("en");

export function t(key: Key, args: Args = {}): string {
  return fill(WORDS[language.value][key], args);
}

/** For words that the listener may add to: without a translation they are shown as they are. */
export function word(prefix: string, name: string): string {
  const key = `${prefix}_${name}`;
  return key in en ? t(key as Key) : name;
}

export function fill(text: string, args: Args): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = args[name];
    return typeof value === "number" ? figure(value, Number.isInteger(value) ? 0 : 1) : (value ?? "");
  });
}

/** With a day that is written before the month, and 24 hours. */
export function locale(): string {
  return language.value === "en" ? "en-GB" : "de-DE";
}

/** A number as it is written here. */
export function figure(value: number, digits = 0): string {
  // -0.2 is written 0, not -0.
  const rounded = Number(value.toFixed(digits)) + 0;
  return formatOf(digits).format(rounded);
}

/** To make one takes a hundred times as long as to use it, and live values are written a thousand times a second. */
function formatOf(digits: number): Intl.NumberFormat {
  const key = `${locale()} ${digits}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(key, format);
  }
  return format;
}

const formats = new Map<string, Intl.NumberFormat>();
