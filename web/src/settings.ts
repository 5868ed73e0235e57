/** What the person at this screen has chosen; kept by the browser, if it keeps anything. */

import { effect, signal } from "@preact/signals";
import type { Language } from "./i18n";
import { language } from "./i18n";

export type Theme = "dark" | "light" | "system";

export const theme = signal<Theme>(read("theme", ["dark", "light", "system"], "dark"));
const systemIsLight = window.matchMedia("(prefers-color-scheme: light)");
const systemTheme = signal<"light" | "dark">(systemIsLight.matches ? "light" : "dark");
export const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

export function shownTheme(): "light" | "dark" {
  return theme.value === "system" ? systemTheme.value : theme.value;
}

export function startSettings(): void {
  const browsers: Language = navigator.language.toLowerCase().startsWith("de") ? "de" : "en";
  language.value = read("language", ["en", "de"], browsers);
  systemIsLight.addEventListener("change", () => {
    systemTheme.value = systemIsLight.matches ? "light" : "dark";
  });
  // Paper is white.
  window.addEventListener("beforeprint", () => {
    document.documentElement.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = shownTheme();
  });
  effect(() => {
    document.documentElement.dataset.theme = shownTheme();
  });
  effect(() => {
    document.documentElement.lang = language.value;
  });
}

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  keep("theme", chosen);
}

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  keep("language", chosen);
}

/** What the listener wants of who may read or change something; "" is none. */
export const token = signal(recall("token"));

export function chooseToken(given: string): void {
  token.value = given;
  keep("token", given);
}

/** What this browser kept under that name, "" for nothing. */
export function recall(name: string): string {
  try {
    return localStorage.getItem(`les02.${name}`) ?? "";
  } catch {
    return ""; // a private window may have no storage
  }
}

function read<T extends string>(name: string, known: readonly T[], otherwise: T): T {
  const kept = recall(name);
  return known.find((each) => each === kept) ?? otherwise;
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`les02.${name}`, value);
  } catch {
    // It holds until the page is closed.
  }
}
